"""Put what one reader made of a coder's latents into one table, and measure over latents."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.autointerp import collect

    folders = {name: job.input(name).folder() for name in job.inputs}
    return collect.produce(job.settings, **folders, out=out)


Job.from_snakemake(snakemake).run(fill(compute))
