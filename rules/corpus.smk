"""Text: the corpus in disjoint parts, the probing concepts, and their tokens."""


rule corpus:
    output:
        [plan.corpus_path(part) for part in CONFIG["corpus"]["parts"]],
    params:
        settings=plan.corpus_settings(CONFIG),
        code=code("corpus"),
        env=ENV,
        store=STORE_PARAM,
    resources:
        recompute=recompute("corpus"),
        mem_mb=2000,
        runtime=30,
    log:
        record="results/records/corpus.json",
    benchmark:
        "results/benchmarks/corpus.tsv"
    script:
        "../workflow/scripts/corpus.py"


rule concepts:
    output:
        plan.CONCEPTS,
    params:
        settings=lambda wildcards: plan.concepts_settings(CONFIG),
        code=code("concepts"),
        env=ENV,
        store=STORE_PARAM,
    resources:
        recompute=recompute("concepts"),
        mem_mb=2000,
        runtime=30,
    log:
        record="results/records/concepts.json",
    benchmark:
        "results/benchmarks/concepts.tsv"
    script:
        "../workflow/scripts/concepts.py"


rule tokens:
    input:
        model=plan.MODEL,
        text=lambda wildcards: (
            plan.CONCEPTS
            if wildcards.split == "probing"
            else plan.corpus_path(wildcards.split)
        ),
    output:
        "results/tokens/{split}.json",
    params:
        settings=lambda wildcards: plan.tokens_settings(CONFIG, wildcards.split),
        code=code("tokens"),
        env=ENV,
        store=STORE_PARAM,
    resources:
        recompute=recompute("tokens"),
        mem_mb=2000,
        runtime=30,
    log:
        record="results/records/tokens/{split}.json",
    benchmark:
        "results/benchmarks/tokens/{split}.tsv"
    script:
        "../workflow/scripts/tokens.py"
