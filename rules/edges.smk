"""Causal edges: which latent drives which, across layers?"""

from latent_ledger.evaluations.edges.plan import groups

EDGE_GROUPS = groups(CONFIG)


rule edges:
    input:
        model=lambda wildcards: paths.model(EDGE_GROUPS[wildcards.group][0].model),
        coders=lambda wildcards: [paths.coder(one.name) for one in EDGE_GROUPS[wildcards.group]],
    output:
        "results/edges/{group}.json",
    log:
        record="results/records/edges/{group}.json",
    threads: 1  # the number of threads changes the bytes: it must not follow --cores
    resources:
        **machine("results/edges/{group}.json"),
        recompute=recompute("edges"),
    params:
        settings=planned("results/edges/{group}.json"),
        code=code("edges"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/edges.py"
