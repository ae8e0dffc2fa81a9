"""Reconstruction: one job per coder, over the evaluation part of the corpus."""


rule reconstruction:
    input:
        model=model_of,
        tokens=paths.tokens("evaluation"),
        reads=reads("evaluation"),
        writes=writes("evaluation"),
        codes="results/codes/evaluation/{coder}.json",
        coder="results/coders/{coder}.json",
        gate=lambda wildcards: paths.gate(
            "nulls", f"reconstruction/{instance(wildcards).site.writes}"
        ),
    output:
        "results/reconstruction/{coder}.json",
    log:
        record="results/records/reconstruction/{coder}.json",
    resources:
        recompute=recompute("reconstruction"),
        mem_mb=3000,
        runtime=60,
    params:
        settings=planned("results/reconstruction/{coder}.json"),
        code=code("reconstruction"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/reconstruction.py"
