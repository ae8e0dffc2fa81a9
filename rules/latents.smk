"""Latents: one job per coder, over the evaluation part of the corpus."""


rule latents:
    input:
        tokens=paths.tokens("evaluation"),
        codes="results/codes/evaluation/{coder}.json",
    output:
        "results/latents/{coder}.json",
    log:
        record="results/records/latents/{coder}.json",
    resources:
        **machine("results/latents/{coder}.json"),
        recompute=recompute("latents"),
    params:
        settings=planned("results/latents/{coder}.json"),
        code=code("latents"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/latents.py"
