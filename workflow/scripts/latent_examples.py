"""Draw a sample of a coder's latents, and the examples that explain and score them."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.autointerp import examples

    folders = {name: job.input(name).folder() for name in ("codes", "tokens", "model")}
    return examples.produce(job.settings, **folders, out=out)


Job.from_snakemake(snakemake).run(fill(compute))
