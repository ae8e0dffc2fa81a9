"""The language model, trained in the graph or a published one pinned by revision and sha256; and its
re-randomised controls, and other models whose coders stand beside."""

from latent_ledger.planning import models as models_stage


rule language_model:
    input:
        **({"text": paths.corpus("model")} if embedded(CONFIG) else {}),
    output:
        paths.model(),
    log:
        record="results/records/model.json",
    threads: 2  # the number of threads changes the bytes: it must not follow --cores
    resources:
        **machine(paths.model()),
        recompute=recompute("language_model"),
    params:
        settings=JOBS[paths.model()][1],
        code=code("language_model"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/language_model.py"


rule other_language_model:
    output:
        paths.model("{other}"),
    log:
        record="results/records/models/{other}.json",
    wildcard_constraints:
        other=only(models_stage.others(CONFIG)),
    resources:
        **machine(paths.model("{other}")),
        recompute=recompute("language_model"),
    params:
        settings=planned(paths.model("{other}")),
        code=code("language_model"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/language_model.py"


rule randomised_model:
    input:
        model=paths.model(),
    output:
        paths.model("{control}"),
    log:
        record="results/records/models/{control}.json",
    wildcard_constraints:
        control=only(models_stage.randomised(CONFIG)),
    resources:
        **machine(paths.model("{control}")),
        recompute=recompute("randomised_model"),
    params:
        settings=planned(paths.model("{control}")),
        code=code("randomised_model"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/randomised_model.py"
