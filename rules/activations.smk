"""Activations: one forward pass per token set and model captures every hook point that is needed.

    capture_<over>    model, tokens -> one manifest per hook point

Each output has a key of its own, so that a new layer or coder forwards only for the hook points
that the store lacks. How many outputs there are differs from one token set to the next, and the
outputs of a Snakemake rule cannot depend on its wildcards: so each token set has its own rule,
which is the one place where rules are made in a loop.
"""

from latent_ledger.planning.models import capture_settings

for (token_set, model), hook_points in graph.capture_groups(JOBS).items():
    over = paths.over(token_set, model)
    # A rule's name is a Python name: "capture_probing" or "capture_probing_on_rerandomised".
    name = f"capture_{over.replace('@', '_on_').replace('-', '_')}"
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
            record=at(f"records/activations/{over}.json"),
        threads: 1  # the number of threads changes the bytes: it must not follow --cores
        resources:
            **resources_of(name, OUT),
        params:
            **params_of("capture", OUT, {**capture_settings(CONFIG, model), "parts": parts}),
        script:
            "../workflow/scripts/capture.py"
