"""Sparse coders, and their codes over each token set."""


rule train_coder:
    input:
        unpack(
            lambda wildcards: {
                "reads": plan.activations_path(
                    "coder", plan.coder(CONFIG, wildcards.coder).site.reads
                ),
                "writes": plan.activations_path(
                    "coder", plan.coder(CONFIG, wildcards.coder).site.writes
                ),
            }
        ),
    output:
        "results/coders/{coder}.json",
    params:
        settings=lambda wildcards: plan.train_settings(CONFIG, wildcards.coder),
        code=code("train_coder"),
        env=ENV,
        store=STORE_PARAM,
    resources:
        recompute=recompute("train_coder"),
        mem_mb=4000,
        runtime=240,
    log:
        record="results/records/coders/{coder}.json",
    benchmark:
        "results/benchmarks/coders/{coder}.tsv"
    script:
        "../workflow/scripts/train_coder.py"


rule encode:
    input:
        activations=lambda wildcards: plan.activations_path(
            wildcards.split, plan.coder(CONFIG, wildcards.coder).site.reads
        ),
        coder="results/coders/{coder}.json",
    output:
        "results/codes/{split}/{coder}.json",
    params:
        settings=plan.encode_settings(CONFIG),
        code=code("encode"),
        env=ENV,
        store=STORE_PARAM,
    resources:
        recompute=recompute("encode"),
        mem_mb=3000,
        runtime=60,
    log:
        record="results/records/codes/{split}/{coder}.json",
    benchmark:
        "results/benchmarks/codes/{split}/{coder}.tsv"
    script:
        "../workflow/scripts/encode.py"
