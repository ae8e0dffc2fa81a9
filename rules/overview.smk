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
            **machine(overview.PATH),
            recompute=recompute("overview"),
        params:
            settings=planned(overview.PATH),
            code=code("overview"),
            env=ENV,
            store=STORE_PARAM,
        script:
            "../workflow/scripts/overview.py"
