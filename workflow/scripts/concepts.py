"""Draw the labelled examples of every probing concept."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.text import concepts

    return concepts.produce(job.settings, out)


Job.from_snakemake(snakemake).run(fill(compute))
