"""Overview: interpretability against loss recovered, the sweep over k, and seeds."""

if overview.PATH in JOBS:

    rule overview:
        input:
            **overview.inputs(CONFIG),
        output:
            overview.PATH,
        log:
            record="results/records/overview.json",
        resources:
            recompute=recompute("overview"),
            mem_mb=2000,
            runtime=30,
        params:
            settings=planned(overview.PATH),
            code=code("overview"),
            env=ENV,
            store=STORE_PARAM,
        script:
            "../workflow/scripts/overview.py"
