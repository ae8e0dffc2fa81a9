"""The ledger: rendered after the evaluations, and also when some of them failed.

ledger    every manifest of the experiment, but for the corpus: it reads records beside them
"""


rule ledger:
    input:
        [path for path in MADE if not path.startswith(at("corpus/"))],
    output:
        LEDGER,
    log:
        at("records/ledger.log"),
    resources:
        **resources_of("ledger", LEDGER[0]),
        # What a Modal Sandbox needs beside the inputs, and what it makes beside the outputs.
        modal_send=f"{at('records')} {at('corpus')}",
        modal_fetch=f"{paths.RESULTS}/figures",
    params:
        plan=f"plan:{graph.fingerprint(CONFIG)}",
        code=code("ledger"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/ledger.py"
