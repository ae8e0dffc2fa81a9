"""Draw the texts of one of SAEBench's own data sets."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.saebench import texts

    return texts.produce(job.settings, out)


Job.from_snakemake(snakemake).run(fill(compute))
