"""Measure how few latents of one coder carry each labelled concept."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.circuits import evaluation

    tokens, raw, codes = (job.input(name).folder() for name in ("tokens", "raw", "codes"))
    return evaluation.produce(job.settings, tokens, [raw], [codes], out)


Job.from_snakemake(snakemake).run(fill(compute))
