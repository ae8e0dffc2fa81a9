"""Check that reconstruction's metrics give what must come out of the mean and of the truth."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.gates import reconstruction_nulls

    folders = {name: job.input(name).folder() for name in ("tokens", "activations")}
    return reconstruction_nulls.produce(job.settings, **folders, out=out)


Job.from_snakemake(snakemake).run(fill(compute))
