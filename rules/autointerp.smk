"""Auto-interp: examples, explanations and scores in processes of their own, then by reader."""

from latent_ledger.evaluations.autointerp import plan as ai


rule latent_examples:
    input:
        model=paths.model(),
        tokens=paths.tokens("scoring"),
        codes="results/codes/scoring/{coder}.json",
    output:
        "results/latent_examples/{coder}.json",
    log:
        record="results/records/latent_examples/{coder}.json",
    threads: 1
    resources:
        **machine("results/latent_examples/{coder}.json"),
        recompute=recompute("latent_examples"),
    params:
        settings=planned("results/latent_examples/{coder}.json"),
        code=code("latent_examples"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/latent_examples.py"


rule explain:
    input:
        examples="results/latent_examples/{coder}.json",
    output:
        "results/explanations/{coder}/{scorer}.json",
    log:
        record="results/records/explanations/{coder}/{scorer}.json",
        server="results/records/explanations/{coder}/{scorer}.log",
    resources:
        **machine("results/explanations/{coder}/{scorer}.json"),
        recompute=recompute("explain"),
        image=image("results/explanations/{coder}/{scorer}.json"),
    params:
        settings=planned("results/explanations/{coder}/{scorer}.json"),
        code=code("explain"),
        env=environment("results/explanations/{coder}/{scorer}.json"),
        store=STORE_PARAM,
    script:
        "../workflow/scripts/explain.py"


rule score_latents:
    input:
        examples="results/latent_examples/{coder}.json",
        explanations="results/explanations/{coder}/{scorer}.json",
    output:
        "results/latent_scores/{coder}/{scorer}.json",
    log:
        record="results/records/latent_scores/{coder}/{scorer}.json",
        server="results/records/latent_scores/{coder}/{scorer}.log",
    resources:
        **machine("results/latent_scores/{coder}/{scorer}.json"),
        recompute=recompute("score_latents"),
        image=image("results/latent_scores/{coder}/{scorer}.json"),
    params:
        settings=planned("results/latent_scores/{coder}/{scorer}.json"),
        code=code("score_latents"),
        env=environment("results/latent_scores/{coder}/{scorer}.json"),
        store=STORE_PARAM,
    script:
        "../workflow/scripts/score_latents.py"


rule embed_latents:
    input:
        examples="results/latent_examples/{coder}.json",
    output:
        "results/embedding_scores/{coder}/{encoder}.json",
    log:
        record="results/records/embedding_scores/{coder}/{encoder}.json",
    threads: 1  # the number of threads moves the last bits of an embedding
    resources:
        **machine("results/embedding_scores/{coder}/{encoder}.json"),
        recompute=recompute("embed_latents"),
    params:
        settings=planned("results/embedding_scores/{coder}/{encoder}.json"),
        code=code("embed_latents"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/embed_latents.py"


rule autointerp:
    input:
        unpack(lambda wildcards: ai.answers(CONFIG, wildcards.coder, wildcards.reader)),
    output:
        "results/autointerp/{reader}/{coder}.json",
    log:
        record="results/records/autointerp/{reader}/{coder}.json",
    resources:
        **machine("results/autointerp/{reader}/{coder}.json"),
        recompute=recompute("autointerp"),
    params:
        settings=planned("results/autointerp/{reader}/{coder}.json"),
        code=code("autointerp"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/autointerp.py"
