"""Circuits: how few latents carry what a probe reads off all of them?"""

from latent_ledger.evaluations.circuits import plan as circuits


rule circuits:
    input:
        tokens=paths.tokens("probing"),
        raw=reads("probing"),
        codes="results/codes/probing/{coder}.json",
    output:
        "results/circuits/{coder}.json",
    log:
        record="results/records/circuits/{coder}.json",
    resources:
        **machine("results/circuits/{coder}.json"),
        recompute=recompute("circuits"),
    params:
        settings=planned("results/circuits/{coder}.json"),
        code=code("circuits"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/circuits.py"


rule multilayer_circuits:
    input:
        unpack(lambda wildcards: circuits.inputs(CONFIG, wildcards.name)),
    output:
        "results/multilayer_circuits/{name}.json",
    log:
        record="results/records/multilayer_circuits/{name}.json",
    resources:
        **machine("results/multilayer_circuits/{name}.json"),
        recompute=recompute("multilayer_circuits"),
    params:
        settings=planned("results/multilayer_circuits/{name}.json"),
        code=code("multilayer_circuits"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/multilayer_circuits.py"
