"""Probing: one job per coder, over the labelled concepts."""


rule probing:
    input:
        tokens=paths.tokens("probing"),
        raw=reads("probing"),
        codes="results/codes/probing/{coder}.json",
        gate=lambda wildcards: paths.gate("nulls", f"probing/{instance(wildcards).site.input_hook}"),
    output:
        "results/probing/{coder}.json",
    log:
        record="results/records/probing/{coder}.json",
    resources:
        **machine("results/probing/{coder}.json"),
        recompute=recompute("probing"),
    params:
        settings=planned("results/probing/{coder}.json"),
        code=code("probing"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/probing.py"
