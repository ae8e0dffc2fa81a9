"""sae_probes: the texts, a baseline per hook_point, then its sparse probes per coder."""

from latent_ledger.evaluations.sae_probes import plan as sae_probes_stage


rule probe_texts:
    input:
        trained_on=sae_probes_stage.trained_on(CONFIG),
    output:
        sae_probes_stage.TEXTS_PATH,
    log:
        record="results/records/probe_texts.json",
    resources:
        **machine(sae_probes_stage.TEXTS_PATH),
        recompute=recompute("probe_texts"),
    params:
        settings=planned(sae_probes_stage.TEXTS_PATH),
        code=code("probe_texts"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/probe_texts.py"


rule sae_probes_baseline:
    input:
        tokens=paths.tokens(sae_probes_stage.SPLIT),
        raw="results/activations/{over}/{hook_point}.json",
    output:
        "results/sae_probes_baseline/{over}/{hook_point}.json",
    log:
        record="results/records/sae_probes_baseline/{over}/{hook_point}.json",
    threads: 1
    resources:
        **machine("results/sae_probes_baseline/{over}/{hook_point}.json"),
        recompute=recompute("sae_probes_baseline"),
    params:
        settings=planned("results/sae_probes_baseline/{over}/{hook_point}.json"),
        code=code("sae_probes_baseline"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/sae_probes_baseline.py"


rule sae_probes:
    input:
        tokens=paths.tokens(sae_probes_stage.SPLIT),
        coder="results/coders/{coder}.json",
        gate=paths.gate("saelens", "{coder}"),
        baseline=lambda wildcards: sae_probes_stage.baseline(
            instance(wildcards).site.input_hook, instance(wildcards).model
        ),
    output:
        "results/sae_probes/{coder}.json",
    log:
        record="results/records/sae_probes/{coder}.json",
    threads: 1
    resources:
        **machine("results/sae_probes/{coder}.json"),
        recompute=recompute("sae_probes"),
    params:
        settings=planned("results/sae_probes/{coder}.json"),
        code=code("sae_probes"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/sae_probes.py"
