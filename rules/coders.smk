"""Sparse coders, trained or fetched, and their codes over each token set."""

from latent_ledger.planning.coders import made_by


rule train_coder:
    input:
        input_hook=reads("coder"),
        output_hook=writes("coder"),
    output:
        "results/coders/{coder}.json",
    log:
        record="results/records/coders/{coder}.json",
    wildcard_constraints:
        coder=only(made_by(CONFIG, "train_coder")),
    resources:
        **machine("results/coders/{coder}.json"),
        recompute=recompute("train_coder"),
    params:
        settings=planned("results/coders/{coder}.json"),
        code=code("train_coder"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/train_coder.py"


rule pretrained_coder:
    output:
        "results/coders/{coder}.json",
    log:
        record="results/records/coders/{coder}.json",
    wildcard_constraints:
        coder=only(made_by(CONFIG, "pretrained_coder")),
    resources:
        **machine("results/coders/{coder}.json"),
        recompute=recompute("pretrained_coder"),
    params:
        settings=planned("results/coders/{coder}.json"),
        code=code("pretrained_coder"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/pretrained_coder.py"


rule encode:
    input:
        activations=lambda wildcards: reads(wildcards.split)(wildcards),
        coder="results/coders/{coder}.json",
        gate=paths.gate("reader", "{coder}"),
    output:
        "results/codes/{split}/{coder}.json",
    log:
        record="results/records/codes/{split}/{coder}.json",
    resources:
        **machine("results/codes/{split}/{coder}.json"),
        recompute=recompute("encode"),
    params:
        settings={},
        code=code("encode"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/encode.py"
