"""Causal edges: which latent drives which, across layers?

edges    model, coders (one per layer)
"""

OUT = at(paths.evaluation("edges", "{group}"))


rule edges:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    threads: 1  # the number of threads changes the bytes: it must not follow --cores
    resources:
        **resources_of("edges", OUT),
    params:
        **params_of("edges", OUT),
    script:
        "../workflow/scripts/edges.py"
