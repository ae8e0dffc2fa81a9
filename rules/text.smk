"""Text: the corpus in disjoint parts, the probing concepts, and their tokens.

corpus          (source) -> one manifest per part
corpus_slice    (source) -> the first documents, as others measured on them
concepts        (source) -> labelled examples
tokens          model, text -> a token set
"""

from latent_ledger.planning.text import corpus_settings

OUT = at(paths.corpus("coder"))


rule corpus:
    output:
        [at(paths.corpus(part)) for part in CONFIG["corpus"]["parts"]],
    log:
        record=record(OUT),
    resources:
        **resources_of("corpus", OUT),
    params:
        **params_of("corpus", OUT, corpus_settings(CONFIG)),
    script:
        "../workflow/scripts/corpus.py"


OUT = at(paths.corpus_slice("{slice}"))


rule corpus_slice:
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("corpus_slice", OUT),
    params:
        **params_of("corpus_slice", OUT),
    script:
        "../workflow/scripts/corpus_slice.py"


OUT = at(paths.CONCEPTS)


rule concepts:
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("concepts", OUT),
    params:
        **params_of("concepts", OUT),
    script:
        "../workflow/scripts/concepts.py"


OUT = at(paths.Tokens("{dataset_key}"))


rule tokens:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("tokens", OUT),
    params:
        **params_of("tokens", OUT),
    script:
        "../workflow/scripts/tokens.py"
