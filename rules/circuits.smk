"""Circuits: how few latents carry what a probe reads off all of them?"""

from latent_ledger.stages import circuits


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
        recompute=recompute("circuits"),
        mem_mb=3000,
        runtime=60,
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
        recompute=recompute("multilayer_circuits"),
        mem_mb=6000,
        runtime=60,
    params:
        settings=planned("results/multilayer_circuits/{name}.json"),
        code=code("multilayer_circuits"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/multilayer_circuits.py"
