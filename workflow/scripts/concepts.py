"""Draw the labelled examples of every probing concept."""

from latent_ledger.job import Job, fill


def compute(job, out):
    from latent_ledger import concepts

    return concepts.produce(job.settings, out)


Job.from_snakemake(snakemake).run(fill(compute))
