"""Activations: one forward pass per token set captures every tap that somebody needs.

The outputs are one manifest per tap, each with a key of its own, so that a new layer or coder
forwards only for the taps the store does not hold.
"""

for split in plan.splits(CONFIG):

    rule:
        name:
            f"capture_{split}"
        input:
            model=plan.MODEL,
            tokens=plan.tokens_path(split),
        output:
            [plan.activations_path(split, tap) for tap in plan.taps(CONFIG, split)],
        log:
            record=f"results/records/activations/{split}.json",
        benchmark:
            f"results/benchmarks/activations/{split}.tsv"
        threads: 1  # the number of threads changes the bytes: it must not follow --cores
        resources:
            recompute=recompute(f"capture_{split}"),
            mem_mb=4000,
            runtime=240,
        params:
            settings=plan.capture_settings(CONFIG, split),
            code=code("capture"),
            env=ENV,
            store=STORE_PARAM,
        script:
            "../workflow/scripts/capture.py"
