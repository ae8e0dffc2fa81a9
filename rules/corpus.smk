"""Text: the corpus in disjoint parts, the probing concepts, and their tokens."""


rule corpus:
    output:
        [paths.corpus(part) for part in CONFIG["corpus"]["parts"]],
    log:
        record="results/records/corpus.json",
    resources:
        **machine(paths.corpus("coder")),
        recompute=recompute("corpus"),
    params:
        settings=corpus_settings(CONFIG),
        code=code("corpus"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/corpus.py"


rule corpus_slice:
    output:
        paths.corpus_slice("{slice}"),
    log:
        record="results/records/corpus_slices/{slice}.json",
    resources:
        **machine(paths.corpus_slice("{slice}")),
        recompute=recompute("corpus_slice"),
    params:
        settings=planned(paths.corpus_slice("{slice}")),
        code=code("corpus_slice"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/corpus_slice.py"


rule concepts:
    output:
        paths.CONCEPTS,
    log:
        record="results/records/concepts.json",
    resources:
        **machine(paths.CONCEPTS),
        recompute=recompute("concepts"),
    params:
        settings=planned(paths.CONCEPTS),
        code=code("concepts"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/concepts.py"


rule tokens:
    input:
        model=lambda wildcards: paths.model(paths.parts(wildcards.split)[1]),
        text=lambda wildcards: TOKEN_SETS[wildcards.split][0],
    output:
        "results/tokens/{split}.json",
    log:
        record="results/records/tokens/{split}.json",
    resources:
        **machine("results/tokens/{split}.json"),
        recompute=recompute("tokens"),
    params:
        settings=planned("results/tokens/{split}.json"),
        code=code("tokens"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/tokens.py"
