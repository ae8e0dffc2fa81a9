"""Head to head: one job per declared family of contrasts."""


rule headtohead:
    input:
        unpack(lambda wildcards: compared(CONFIG, wildcards.family)),
    output:
        "results/headtohead/{family}.json",
    log:
        record="results/records/headtohead/{family}.json",
    resources:
        recompute=recompute("headtohead"),
        mem_mb=2000,
        runtime=30,
    params:
        settings=planned("results/headtohead/{family}.json"),
        code=code("headtohead"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/headtohead.py"
