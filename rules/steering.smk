"""Steering: one job per coder and protocol; generates and judges texts of every steered concept."""

from latent_ledger.evaluations.steering import plan as steering_stage


rule steering:
    input:
        model=model_of,
        tokens=paths.tokens("probing"),
        output_hook=writes("probing"),
        judged=lambda wildcards: steering_stage.judged(CONFIG, instance(wildcards)),
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


rule steering_variant:
    input:
        model=model_of,
        tokens=paths.tokens("probing"),
        output_hook=writes("probing"),
        judged=lambda wildcards: steering_stage.judged(CONFIG, instance(wildcards)),
        codes="results/codes/probing/{coder}.json",
        coder="results/coders/{coder}.json",
    output:
        steering_stage.path_of("{variant}", "{coder}"),
    log:
        record="results/records/steering_variants/{variant}/{coder}.json",
    threads: 1
    resources:
        **machine(steering_stage.path_of("{variant}", "{coder}")),
        recompute=recompute("steering"),
    params:
        settings=planned(steering_stage.path_of("{variant}", "{coder}")),
        code=code("steering"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/steering.py"
