"""Take the first documents of the corpus as they stand."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.text import corpus

    return corpus.produce_slice(job.settings, out)


Job.from_snakemake(snakemake).run(fill(compute))
