"""Draw the Pareto front, the sweep over k and the spread over seeds from the evaluations."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.overview import evaluation as overview

    tables = {name: job.input(name).folder() for name in job.inputs}
    return overview.produce(job.settings, tables, out)


Job.from_snakemake(snakemake).run(fill(compute))
