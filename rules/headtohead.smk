"""Head to head: one job per declared family of contrasts."""


rule headtohead:
    input:
        unpack(lambda wildcards: compared(CONFIG, wildcards.family)),
    output:
        "results/headtohead/{family}.json",
    log:
        record="results/records/headtohead/{family}.json",
    resources:
        **machine("results/headtohead/{family}.json"),
        recompute=recompute("headtohead"),
    params:
        settings=planned("results/headtohead/{family}.json"),
        code=code("headtohead"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/headtohead.py"
