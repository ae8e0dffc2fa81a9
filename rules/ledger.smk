"""The ledger: rendered after the evaluations, and also when some of them failed.

ledger    every manifest of the experiment; it reads the run records beside them
"""


rule ledger:
    input:
        list(MADE),
    output:
        report(LEDGER[0], category="Ledger", caption="../workflow/report/ledger.rst"),
        report(LEDGER[1], category="Ledger", caption="../workflow/report/rows.rst"),
        report(
            directory(FIGURES),
            patterns=["{figure}.svg"],
            category="Figures",
            caption="../workflow/report/figures.rst",
        ),
    log:
        at("records/ledger.log"),
    resources:
        **resources_of("ledger", LEDGER[0]),
        # What a Modal Sandbox needs beside the inputs.
        modal_send=at("records"),
    params:
        plan=f"plan:{graph.fingerprint(CONFIG, JOBS)}",
        code=code("ledger"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/ledger.py"
