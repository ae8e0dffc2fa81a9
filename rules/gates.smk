"""Gates: what must hold before a number may earn its row.

reader_fidelity         activations, coder -> our loader against the publisher's library
saelens_fidelity        activations, coder, reader (gate) -> the SAELens form against our loader
reconstruction_nulls    tokens, activations -> metrics where nothing, and everything, is explained
probing_nulls           tokens, raw -> probes on shuffled labels and shuffled latents
"""

OUT = at(paths.gate("reader", "{coder}"))


rule reader_fidelity:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("reader_fidelity", OUT),
    params:
        **params_of("reader_fidelity", OUT),
    script:
        "../workflow/scripts/reader_fidelity.py"


OUT = at(paths.gate("saelens", "{coder}"))


rule saelens_fidelity:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("saelens_fidelity", OUT),
    params:
        **params_of("saelens_fidelity", OUT),
    script:
        "../workflow/scripts/saelens_fidelity.py"


OUT = at(paths.gate("nulls", "reconstruction/{hook_point}"))


rule reconstruction_nulls:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("reconstruction_nulls", OUT),
    params:
        **params_of("reconstruction_nulls", OUT),
    script:
        "../workflow/scripts/reconstruction_nulls.py"


OUT = at(paths.gate("nulls", "probing/{hook_point}"))


rule probing_nulls:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("probing_nulls", OUT),
    params:
        **params_of("probing_nulls", OUT),
    script:
        "../workflow/scripts/probing_nulls.py"
