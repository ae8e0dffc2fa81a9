"""SAEBench: texts, artifacts per hook point and size, then sparse probing and core per coder.

saebench_texts        (source) -> the drawn texts of one data set
saebench_artifacts    tokens, raw (activations) -> prefilled activations and baselines
saebench              artifact/<data set>/<size> ..., coder, gate (SAELens)
saebench_core         model, tokens, input_hook (activations), codes, coder, gate (SAELens)
"""

from latent_ledger.evaluations.saebench.plan import artifact as saebench_artifact
from latent_ledger.evaluations.saebench.plan import texts as saebench_texts_manifest

OUT = at(saebench_texts_manifest("{dataset}"))


rule saebench_texts:
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("saebench_texts", OUT),
    params:
        **params_of("saebench_texts", OUT),
    script:
        "../workflow/scripts/saebench_texts.py"


OUT = at(saebench_artifact("{dataset_key}", "{hook_point}", "{size}"))


rule saebench_artifacts:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    threads: 1  # random draws and sums: the bytes must not follow --cores
    resources:
        **resources_of("saebench_artifacts", OUT),
    params:
        **params_of("saebench_artifacts", OUT),
    script:
        "../workflow/scripts/saebench_artifacts.py"


OUT = at(paths.evaluation("saebench", "{coder}"))


rule saebench:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    threads: 1
    resources:
        **resources_of("saebench", OUT),
    params:
        **params_of("saebench", OUT),
    script:
        "../workflow/scripts/saebench.py"


OUT = at(paths.evaluation("saebench_core", "{coder}"))


rule saebench_core:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    threads: 1
    resources:
        **resources_of("saebench_core", OUT),
    params:
        **params_of("saebench_core", OUT),
    script:
        "../workflow/scripts/saebench_core.py"
