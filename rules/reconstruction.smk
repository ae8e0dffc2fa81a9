"""Reconstruction: one job per coder over the evaluation part of the corpus, and over slices."""

from latent_ledger.evaluations.reconstruction import plan as reconstruction_stage


rule reconstruction:
    input:
        model=model_of,
        tokens=tokens_of("evaluation"),
        input_hook=reads("evaluation"),
        output_hook=writes("evaluation"),
        codes="results/codes/evaluation/{coder}.json",
        coder="results/coders/{coder}.json",
        gate=lambda wildcards: reconstruction_stage.nulls(instance(wildcards)),
    output:
        "results/reconstruction/{coder}.json",
    log:
        record="results/records/reconstruction/{coder}.json",
    resources:
        **machine("results/reconstruction/{coder}.json"),
        recompute=recompute("reconstruction"),
    params:
        settings=planned("results/reconstruction/{coder}.json"),
        code=code("reconstruction"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/reconstruction.py"


rule reconstruction_on_slice:
    input:
        model=model_of,
        tokens=tokens_of("{slice}"),
        input_hook=lambda wildcards: reads(wildcards.slice)(wildcards),
        output_hook=lambda wildcards: writes(wildcards.slice)(wildcards),
        codes="results/codes/{slice}/{coder}.json",
        coder="results/coders/{coder}.json",
        gate=lambda wildcards: reconstruction_stage.nulls(instance(wildcards)),
    output:
        reconstruction_stage.on_slice("{slice}", "{coder}"),
    log:
        record="results/records/reconstruction_slices/{slice}/{coder}.json",
    resources:
        **machine(reconstruction_stage.on_slice("{slice}", "{coder}")),
        recompute=recompute("reconstruction"),
    params:
        settings=planned(reconstruction_stage.on_slice("{slice}", "{coder}")),
        code=code("reconstruction"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/reconstruction.py"
