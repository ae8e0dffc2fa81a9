"""Reconstruction: one job per coder over the evaluation part of the corpus, and over slices.

reconstruction    model, tokens, input_hook, output_hook (activations), codes, coder, gate (nulls)
"""

from latent_ledger.evaluations.reconstruction.plan import slice_manifest

OUT = at(paths.evaluation("reconstruction", "{coder}"))


rule reconstruction:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("reconstruction", OUT),
    params:
        **params_of("reconstruction", OUT),
    script:
        "../workflow/scripts/reconstruction.py"


ON_SLICE = at(slice_manifest("{slice}", "{coder}"))


use rule reconstruction as reconstruction_on_slice with:
    input:
        unpack(inputs_of(ON_SLICE)),
    output:
        ON_SLICE,
    log:
        record=record(ON_SLICE),
    resources:
        **resources_of("reconstruction", ON_SLICE),
    params:
        **params_of("reconstruction", ON_SLICE),
