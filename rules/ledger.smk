"""The ledger: rendered after the evaluations, and also when some of them failed."""


rule ledger:
    input:
        [path for path in JOBS if not path.startswith("results/corpus/")],
    output:
        LEDGER,
    log:
        "results/records/ledger.log",
    resources:
        **machine(LEDGER[0]),
        # What a Modal Sandbox needs beside the inputs, and what it makes beside the outputs.
        modal_send="results/records results/corpus",
        modal_fetch="results/figures",
    params:
        plan=f"plan:{graph.fingerprint(CONFIG)}",
        code=code("ledger"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/ledger.py"
