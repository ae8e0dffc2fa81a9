"""Steer the model along a coder's latents and judge what it writes."""

from latent_ledger.job import Job, fill


def compute(job, out):
    from latent_ledger.evals import steering

    names = ("model", "tokens", "writes", "judged", "codes", "coder")
    folders = {name: job.input(name).folder() for name in names}
    return steering.produce(job.settings, **folders, out=out)


Job.from_snakemake(snakemake, "steering").run(fill(compute))
