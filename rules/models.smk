"""The language model, its re-randomised controls, and other models whose coders stand beside.

language_model          text (if it is trained here) -> the model under study
other_language_model    (source) -> another published model
randomised_model        model -> a control with weights drawn anew
capture_<dataset key>   model, tokens -> activations, one manifest per hook point

Each output of a capture has a key of its own, so that a new layer or coder forwards only for the
hook points that the store lacks. How many outputs there are differs from one token set to the next,
and the outputs of a Snakemake rule cannot depend on its wildcards: so each token set has its own
rule, which is the one place where rules are made in a loop.
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


OTHER = at(paths.model("{other}"))


use rule language_model as other_language_model with:
    input:
        unpack(inputs_of(OTHER)),
    output:
        OTHER,
    log:
        record=record(OTHER),
    wildcard_constraints:
        other=only(models.others(CONFIG)),
    threads: 1
    resources:
        **resources_of("language_model", OTHER),
    params:
        **params_of("language_model", OTHER),


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


for (token_set, model), hook_points in graph.capture_groups(JOBS).items():
    # A rule's name is a Python name: "capture_probing" or "capture_probing_on_rerandomised".
    name = f"capture_{paths.on_model(token_set, model).replace('@', '_on_').replace('-', '_')}"
    OUT = at(paths.Activations(token_set, hook_points[0], model))
    parts = {str(hook_point): {"hook_point": str(hook_point)} for hook_point in hook_points}

    rule:
        name:
            name
        input:
            unpack(inputs_of(OUT)),
        output:
            [at(paths.Activations(token_set, hook_point, model)) for hook_point in hook_points],
        log:
            record=record(OUT),
        threads: 1  # the number of threads changes the bytes: it must not follow --cores
        resources:
            **resources_of(name, OUT),
        params:
            **params_of("capture", OUT, {**models.capture_settings(CONFIG, model), "parts": parts}),
        script:
            "../workflow/scripts/capture.py"
