"""Fetch one coder that somebody else trained."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.coders import pretrained

    return pretrained.produce(job.settings, out)


Job.from_snakemake(snakemake).run(fill(compute))
