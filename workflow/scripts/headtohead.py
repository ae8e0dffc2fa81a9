"""Compare coders pair by pair over one declared family of contrasts."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.headtohead import evaluation as headtohead

    tables = {name: job.input(name).folder() for name in job.inputs}
    return headtohead.produce(job.settings, tables, out)


Job.from_snakemake(snakemake).run(fill(compute))
