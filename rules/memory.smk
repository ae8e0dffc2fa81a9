"""The memory planner: one job per scorer that is a model."""


rule memory_plan:
    output:
        "results/memory/{scorer}.json",
    log:
        record="results/records/memory/{scorer}.json",
    resources:
        **machine("results/memory/{scorer}.json"),
        recompute=recompute("memory_plan"),
    params:
        settings=planned("results/memory/{scorer}.json"),
        code=code("memory_plan"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/memory_plan.py"
