"""Evaluate a coder by one scorer or encoder: a row per latent, and metrics over latents."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.autointerp import collect

    folders = {name: job.input(name).folder() for name in job.inputs}
    return collect.produce(job.settings, **folders, out=out)


Job.from_snakemake(snakemake).run(fill(compute))
