"""Latent statistics: one job per coder, over the evaluation part of the corpus.

latents    tokens, codes
"""

OUT = at(paths.evaluation("latents", "{coder}"))


rule latents:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("latents", OUT),
    params:
        **params_of("latents", OUT),
    script:
        "../workflow/scripts/latents.py"
