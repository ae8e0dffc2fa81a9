"""sae_probes: the texts, a baseline per hook point, then its sparse probes per coder.

probe_texts            trained_on (parts of the corpus whose texts are left out)
sae_probes_baseline    tokens, raw (activations)
sae_probes             tokens, coder, gate (SAELens), baseline
"""

from latent_ledger.evaluations.sae_probes.plan import TEXTS_PATH as PROBE_TEXTS
from latent_ledger.evaluations.sae_probes.plan import baseline as sae_probes_baseline_manifest

OUT = at(PROBE_TEXTS)


rule probe_texts:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("probe_texts", OUT),
    params:
        **params_of("probe_texts", OUT),
    script:
        "../workflow/scripts/probe_texts.py"


OUT = at(sae_probes_baseline_manifest("{dataset_key}", "{hook_point}"))


rule sae_probes_baseline:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    threads: 1
    resources:
        **resources_of("sae_probes_baseline", OUT),
    params:
        **params_of("sae_probes_baseline", OUT),
    script:
        "../workflow/scripts/sae_probes_baseline.py"


OUT = at(paths.evaluation("sae_probes", "{coder}"))


rule sae_probes:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    threads: 1
    resources:
        **resources_of("sae_probes", OUT),
    params:
        **params_of("sae_probes", OUT),
    script:
        "../workflow/scripts/sae_probes.py"
