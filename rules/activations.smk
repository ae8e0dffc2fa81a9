"""Activations: one forward pass per token set and model captures every hook_point that somebody needs.

The outputs are one manifest per hook_point, each with a key of its own, so that a new layer or coder
forwards only for the hook_points the store does not hold.
"""

for (split, model), hook_points in graph.capture_groups(CONFIG).items():
    over = paths.over(split, model)
    # A rule's name is a Python name: "capture_probing" or "capture_probing_on_rerandomised".
    name = f"capture_{over.replace('@', '_on_').replace('-', '_')}"

    rule:
        name:
            name
        input:
            model=paths.model(model),
            tokens=paths.tokens(split, base(CONFIG, model)),
        output:
            [paths.activations(split, hook_point, model) for hook_point in hook_points],
        log:
            record=f"results/records/activations/{over}.json",
        threads: 1  # the number of threads changes the bytes: it must not follow --cores
        resources:
            **machine(paths.activations(split, hook_points[0], model)),
            recompute=recompute(name),
        params:
            settings=capture_settings(CONFIG, hook_points, model),
            code=code("capture"),
            env=ENV,
            store=STORE_PARAM,
        script:
            "../workflow/scripts/capture.py"
