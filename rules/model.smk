"""The language model, its re-randomised controls, and other models whose coders stand beside.

language_model          text (if it is trained here) -> the model under study
other_language_model    (source) -> another published model
randomised_model        model -> a control with weights drawn anew
"""

from latent_ledger.planning import models

OUT = at(paths.model())


rule language_model:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    threads: 2  # the number of threads changes the bytes: it must not follow --cores
    resources:
        **resources_of("language_model", OUT),
    params:
        **params_of("language_model", OUT),
    script:
        "../workflow/scripts/language_model.py"


OUT = at(paths.model("{other}"))


rule other_language_model:
    output:
        OUT,
    log:
        record=record(OUT),
    wildcard_constraints:
        other=only(models.others(CONFIG)),
    resources:
        **resources_of("language_model", OUT),
    params:
        **params_of("language_model", OUT),
    script:
        "../workflow/scripts/language_model.py"


OUT = at(paths.model("{control}"))


rule randomised_model:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    wildcard_constraints:
        control=only(models.randomised(CONFIG)),
    resources:
        **resources_of("randomised_model", OUT),
    params:
        **params_of("randomised_model", OUT),
    script:
        "../workflow/scripts/randomised_model.py"
