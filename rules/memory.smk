"""The memory planner: one job per scorer that is a model.

memory_plan    (settings) -> where the scorer fits
"""

OUT = at(paths.evaluation("memory", "{scorer}"))


rule memory_plan:
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("memory_plan", OUT),
    params:
        **params_of("memory_plan", OUT),
    script:
        "../workflow/scripts/memory_plan.py"
