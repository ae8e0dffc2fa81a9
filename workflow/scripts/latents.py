"""Describe what each latent of a coder fires on."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.latents import evaluation as latents

    folders = {name: job.input(name).folder() for name in ("tokens", "codes")}
    return latents.produce(job.settings, **folders, out=out)


Job.from_snakemake(snakemake).run(fill(compute))
