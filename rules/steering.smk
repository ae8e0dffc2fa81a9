"""Steering: one job per coder; generates and judges texts of every steered concept."""

from latent_ledger.stages.steering import judge_tap


def read_by_the_judge(wildcards):
    """The activations over the labelled examples from which the rule's judge is fit."""
    one = instance(wildcards)
    return paths.activations("probing", judge_tap(CONFIG, one), one.model)


rule steering:
    input:
        model=model_of,
        tokens=paths.tokens("probing"),
        writes=writes("probing"),
        judged=read_by_the_judge,
        codes="results/codes/probing/{coder}.json",
        coder="results/coders/{coder}.json",
    output:
        "results/steering/{coder}.json",
    log:
        record="results/records/steering/{coder}.json",
    benchmark:
        "results/benchmarks/steering/{coder}.tsv"
    threads: 1
    resources:
        recompute=recompute("steering"),
        mem_mb=3000,
        runtime=120,
    params:
        settings=planned("results/steering/{coder}.json"),
        code=code("steering"),
        env=ENV,
        store=STORE_PARAM,
    script:
        "../workflow/scripts/steering.py"
