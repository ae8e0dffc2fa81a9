"""Evaluations of one coder each, and the head-to-head comparisons between coders."""


rule reconstruction:
    input:
        model=plan.MODEL,
        tokens=plan.tokens_path("evaluation"),
        reads=lambda wildcards: plan.activations_path(
            "evaluation", plan.coder(CONFIG, wildcards.coder).site.reads
        ),
        writes=lambda wildcards: plan.activations_path(
            "evaluation", plan.coder(CONFIG, wildcards.coder).site.writes
        ),
        codes="results/codes/evaluation/{coder}.json",
        coder="results/coders/{coder}.json",
    output:
        "results/reconstruction/{coder}.json",
    log:
        record="results/records/reconstruction/{coder}.json",
    benchmark:
        "results/benchmarks/reconstruction/{coder}.tsv"
    resources:
        recompute=recompute("reconstruction"),
        mem_mb=3000,
        runtime=60,
    params:
        settings=lambda wildcards: plan.reconstruction_settings(CONFIG, wildcards.coder),
        code=code("reconstruction"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/reconstruction.py"


rule probing:
    input:
        tokens=plan.tokens_path("probing"),
        raw=lambda wildcards: plan.activations_path(
            "probing", plan.coder(CONFIG, wildcards.coder).site.reads
        ),
        codes="results/codes/probing/{coder}.json",
    output:
        "results/probing/{coder}.json",
    log:
        record="results/records/probing/{coder}.json",
    benchmark:
        "results/benchmarks/probing/{coder}.tsv"
    resources:
        recompute=recompute("probing"),
        mem_mb=3000,
        runtime=60,
    params:
        settings=lambda wildcards: plan.probing_settings(CONFIG),
        code=code("probing"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/probing.py"


rule headtohead:
    input:
        reconstruction=lambda wildcards: [
            plan.evaluation_path("reconstruction", name)
            for name in plan.compared(CONFIG, wildcards.family, "reconstruction")
        ],
        probing=lambda wildcards: [
            plan.evaluation_path("probing", name)
            for name in plan.compared(CONFIG, wildcards.family, "probing")
        ],
    output:
        "results/headtohead/{family}.json",
    log:
        record="results/records/headtohead/{family}.json",
    benchmark:
        "results/benchmarks/headtohead/{family}.tsv"
    resources:
        recompute=recompute("headtohead"),
        mem_mb=2000,
        runtime=30,
    params:
        settings=lambda wildcards: plan.headtohead_settings(CONFIG, wildcards.family),
        code=code("headtohead"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/headtohead.py"
