"""Steer the model along a coder's latents and judge what it writes."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.steering import evaluation as steering

    names = ("model", "tokens", "output_hook", "judged", "codes", "coder")
    folders = {name: job.input(name).folder() for name in names}
    return steering.produce(job.settings, **folders, out=out)


Job.from_snakemake(snakemake, "steering").run(fill(compute))
