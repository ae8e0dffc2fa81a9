"""The language model, trained in the graph or a published one pinned by revision and sha256; and its
re-randomised controls."""


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


rule randomised_model:
    input:
        model=paths.model(),
    output:
        paths.model("{control}"),
    log:
        record="results/records/models/{control}.json",
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
