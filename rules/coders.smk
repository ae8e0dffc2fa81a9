"""Sparse coders, trained or fetched, and their codes over each token set.

train_coder         input_hook, output_hook (activations) -> coder
pretrained_coder    (source) -> coder
encode              activations, coder, gate (of its loader) -> codes
"""

from latent_ledger.planning.coders import made_by

OUT = at(paths.coder("{coder}"))


rule train_coder:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    wildcard_constraints:
        coder=only(made_by(CONFIG, "train_coder")),
    resources:
        **resources_of("train_coder", OUT),
    params:
        **params_of("train_coder", OUT),
    script:
        "../workflow/scripts/train_coder.py"


OUT = at(paths.coder("{coder}"))


rule pretrained_coder:
    output:
        OUT,
    log:
        record=record(OUT),
    wildcard_constraints:
        coder=only(made_by(CONFIG, "pretrained_coder")),
    resources:
        **resources_of("pretrained_coder", OUT),
    params:
        **params_of("pretrained_coder", OUT),
    script:
        "../workflow/scripts/pretrained_coder.py"


OUT = at(paths.Codes("{token_set}", "{coder}"))


rule encode:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("encode", OUT),
    params:
        **params_of("encode", OUT),
    script:
        "../workflow/scripts/encode.py"
