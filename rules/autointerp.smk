"""Auto-interp: examples, explanations and scores in processes of their own, then by scorer.

latent_examples    model, tokens, codes
explain            examples
score_latents      examples, explanations
embed_latents      examples
autointerp         examples, scores, and explanations of a scorer
"""

from latent_ledger.evaluations.autointerp.plan import examples as latent_examples_manifest
from latent_ledger.evaluations.autointerp.plan import manifest_of as autointerp_manifest

OUT = at(latent_examples_manifest("{coder}"))


rule latent_examples:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    threads: 1
    resources:
        **resources_of("latent_examples", OUT),
    params:
        **params_of("latent_examples", OUT),
    script:
        "../workflow/scripts/latent_examples.py"


OUT = at(autointerp_manifest("explanations", "{coder}", "{scorer}"))


rule explain:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
        server=f"{record(OUT)[:-5]}.log",
    resources:
        **resources_of("explain", OUT),
        image=image(OUT),
    params:
        **params_of("explain", OUT),
    script:
        "../workflow/scripts/explain.py"


OUT = at(autointerp_manifest("latent_scores", "{coder}", "{scorer}"))


rule score_latents:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
        server=f"{record(OUT)[:-5]}.log",
    resources:
        **resources_of("score_latents", OUT),
        image=image(OUT),
    params:
        **params_of("score_latents", OUT),
    script:
        "../workflow/scripts/score_latents.py"


OUT = at(autointerp_manifest("embedding_scores", "{coder}", "{encoder}"))


rule embed_latents:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    threads: 1  # the number of threads moves the last bits of an embedding
    resources:
        **resources_of("embed_latents", OUT),
    params:
        **params_of("embed_latents", OUT),
    script:
        "../workflow/scripts/embed_latents.py"


OUT = at(paths.evaluation("autointerp/{scorer_or_encoder}", "{coder}"))


rule autointerp:
    input:
        unpack(inputs_of(OUT)),
    output:
        OUT,
    log:
        record=record(OUT),
    resources:
        **resources_of("autointerp", OUT),
    params:
        **params_of("autointerp", OUT),
    script:
        "../workflow/scripts/autointerp.py"
