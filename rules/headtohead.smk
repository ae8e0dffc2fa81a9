"""Head to head: one job per declared family of contrasts.

headtohead    the evaluations that the family compares, by their names
"""

OUT = at(paths.evaluation("headtohead", "{family}"))


rule headtohead:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("headtohead", OUT),
    params:
        **params_of("headtohead", OUT),
    script:
        "../workflow/scripts/headtohead.py"
