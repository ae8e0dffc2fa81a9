"""Circuits: how few latents carry what a probe reads off all of them?

circuits               tokens, raw (activations), codes
multilayer_circuits    tokens; raw1, codes1, raw2, codes2, ... from the first layer to the last
"""

OUT = at(paths.evaluation("circuits", "{coder}"))


rule circuits:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("circuits", OUT),
    params:
        **params_of("circuits", OUT),
    script:
        "../workflow/scripts/circuits.py"


OUT = at(paths.evaluation("multilayer_circuits", "{name}"))


rule multilayer_circuits:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("multilayer_circuits", OUT),
    params:
        **params_of("multilayer_circuits", OUT),
    script:
        "../workflow/scripts/multilayer_circuits.py"
