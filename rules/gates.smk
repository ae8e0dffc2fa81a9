"""Gates: what must hold before a number may earn its row."""


rule reader_fidelity:
    input:
        activations=reads("evaluation"),
        coder="results/coders/{coder}.json",
    output:
        "results/gates/reader/{coder}.json",
    log:
        record="results/records/gates/reader/{coder}.json",
    resources:
        **machine("results/gates/reader/{coder}.json"),
        recompute=recompute("reader_fidelity"),
    params:
        settings=planned("results/gates/reader/{coder}.json"),
        code=code("reader_fidelity"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/reader_fidelity.py"


rule saelens_fidelity:
    input:
        activations=reads("evaluation"),
        coder="results/coders/{coder}.json",
        reader="results/gates/reader/{coder}.json",
    output:
        "results/gates/saelens/{coder}.json",
    log:
        record="results/records/gates/saelens/{coder}.json",
    resources:
        **machine("results/gates/saelens/{coder}.json"),
        recompute=recompute("saelens_fidelity"),
    params:
        settings=planned("results/gates/saelens/{coder}.json"),
        code=code("saelens_fidelity"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/saelens_fidelity.py"


rule reconstruction_nulls:
    input:
        tokens=lambda wildcards: paths.tokens("evaluation", paths.parts(wildcards.hook_point)[1]),
        activations=lambda wildcards: paths.activations("evaluation", *paths.parts(wildcards.hook_point)),
    output:
        "results/gates/nulls/reconstruction/{hook_point}.json",
    log:
        record="results/records/gates/nulls/reconstruction/{hook_point}.json",
    resources:
        **machine("results/gates/nulls/reconstruction/{hook_point}.json"),
        recompute=recompute("reconstruction_nulls"),
    params:
        settings=planned("results/gates/nulls/reconstruction/{hook_point}.json"),
        code=code("reconstruction_nulls"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/reconstruction_nulls.py"


rule probing_nulls:
    input:
        tokens=paths.tokens("probing"),
        raw="results/activations/probing/{hook_point}.json",
    output:
        "results/gates/nulls/probing/{hook_point}.json",
    log:
        record="results/records/gates/nulls/probing/{hook_point}.json",
    resources:
        **machine("results/gates/nulls/probing/{hook_point}.json"),
        recompute=recompute("probing_nulls"),
    params:
        settings=planned("results/gates/nulls/probing/{hook_point}.json"),
        code=code("probing_nulls"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/probing_nulls.py"
