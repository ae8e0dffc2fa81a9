"""Steering: one job per coder and protocol; generates and judges texts of every steered concept.

steering    model, tokens, output_hook, judged (activations), codes, coder
"""

from latent_ledger.evaluations.steering.plan import manifest as steering_manifest

OUT = at(steering_manifest("", "{coder}"))


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


VARIANT = at(steering_manifest("{variant}", "{coder}"))


use rule steering as steering_variant with:
    input:
        unpack(inputs_of(VARIANT)),
    output:
        VARIANT,
    log:
        record=record(VARIANT),
    resources:
        **resources_of("steering", VARIANT),
    params:
        **params_of("steering", VARIANT),
