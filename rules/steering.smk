"""Steering: one job per coder; generates and judges texts of every steered concept."""

from latent_ledger.stages.steering import judged


rule steering:
    input:
        model=model_of,
        tokens=paths.tokens("probing"),
        writes=writes("probing"),
        judged=lambda wildcards: judged(CONFIG, instance(wildcards)),
        codes="results/codes/probing/{coder}.json",
        coder="results/coders/{coder}.json",
    output:
        "results/steering/{coder}.json",
    log:
        record="results/records/steering/{coder}.json",
    threads: 1
    resources:
        **machine("results/steering/{coder}.json"),
        recompute=recompute("steering"),
    params:
        settings=planned("results/steering/{coder}.json"),
        code=code("steering"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/steering.py"
