"""Steering: one job per coder and protocol; generates and judges texts of every steered concept.

steering    model, tokens, output_hook, judged (activations), codes, coder
"""

from latent_ledger.evaluations.steering.plan import path_of

OUT = at(path_of("", "{coder}"))


rule steering:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    threads: 1
    resources:
        **resources_of("steering", OUT),
    params:
        **params_of("steering", OUT),
    script:
        "../workflow/scripts/steering.py"


OF_VARIANT = at(path_of("{variant}", "{coder}"))


use rule steering as steering_variant with:
    input:
        unpack(inputs_of(OF_VARIANT)),
    output:
        OF_VARIANT,
    log:
        record=record(OF_VARIANT),
    resources:
        **resources_of("steering", OF_VARIANT),
    params:
        **params_of("steering", OF_VARIANT),
