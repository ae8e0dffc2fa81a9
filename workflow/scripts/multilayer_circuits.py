"""Measure how few latents of several layers together carry each labelled concept."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.circuits import evaluation

    layers = sum(name.startswith("codes") for name in job.inputs)
    raw, codes = (
        [job.input(f"{kind}{depth}").folder() for depth in range(1, layers + 1)]
        for kind in ("raw", "codes")
    )
    return evaluation.produce(job.settings, job.input("tokens").folder(), raw, codes, out)


Job.from_snakemake(snakemake).run(fill(compute))
