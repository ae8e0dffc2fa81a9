"""Probing: one job per coder, over the labelled concepts.

probing    tokens, raw (activations), codes, gate (nulls)
"""

OUT = at(paths.evaluation("probing", "{coder}"))


rule probing:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("probing", OUT),
    params:
        **params_of("probing", OUT),
    script:
        "../workflow/scripts/probing.py"
