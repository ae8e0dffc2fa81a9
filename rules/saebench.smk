"""SAEBench: texts, artifacts per hook_point and size, then its sparse probing and core, per coder."""

from latent_ledger.evaluations.saebench import plan as saebench_stage


rule saebench_texts:
    output:
        saebench_stage.texts("{dataset}"),
    log:
        record="results/records/saebench_texts/{dataset}.json",
    resources:
        **machine(saebench_stage.texts("{dataset}")),
        recompute=recompute("saebench_texts"),
    params:
        settings=planned(saebench_stage.texts("{dataset}")),
        code=code("saebench_texts"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/saebench_texts.py"


rule saebench_artifacts:
    input:
        tokens=lambda wildcards: paths.tokens(wildcards.over.partition("@")[0]),
        raw="results/activations/{over}/{hook_point}.json",
    output:
        "results/saebench_artifacts/{over}/{hook_point}/{size}.json",
    log:
        record="results/records/saebench_artifacts/{over}/{hook_point}/{size}.json",
    threads: 1  # random draws and sums: the bytes must not follow --cores
    resources:
        **machine("results/saebench_artifacts/{over}/{hook_point}/{size}.json"),
        recompute=recompute("saebench_artifacts"),
    params:
        settings=planned("results/saebench_artifacts/{over}/{hook_point}/{size}.json"),
        code=code("saebench_artifacts"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/saebench_artifacts.py"


rule saebench:
    input:
        unpack(lambda wildcards: saebench_stage.inputs(CONFIG, instance(wildcards))),
        coder="results/coders/{coder}.json",
        gate=paths.gate("saelens", "{coder}"),
    output:
        "results/saebench/{coder}.json",
    log:
        record="results/records/saebench/{coder}.json",
    threads: 1
    resources:
        **machine("results/saebench/{coder}.json"),
        recompute=recompute("saebench"),
    params:
        settings=planned("results/saebench/{coder}.json"),
        code=code("saebench"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/saebench.py"


rule saebench_core:
    input:
        model=model_of,
        tokens=paths.tokens("evaluation"),
        input_hook=reads("evaluation"),
        codes="results/codes/evaluation/{coder}.json",
        coder="results/coders/{coder}.json",
        gate=paths.gate("saelens", "{coder}"),
    output:
        "results/saebench_core/{coder}.json",
    log:
        record="results/records/saebench_core/{coder}.json",
    threads: 1
    resources:
        **machine("results/saebench_core/{coder}.json"),
        recompute=recompute("saebench_core"),
    params:
        settings=planned("results/saebench_core/{coder}.json"),
        code=code("saebench_core"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/saebench_core.py"
