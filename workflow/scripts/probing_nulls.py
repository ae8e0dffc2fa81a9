"""Check that probing finds nothing in shuffled labels and shuffled latents."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.gates import probing_nulls

    folders = {name: job.input(name).folder() for name in ("tokens", "raw")}
    return probing_nulls.produce(job.settings, **folders, out=out)


Job.from_snakemake(snakemake).run(fill(compute))
