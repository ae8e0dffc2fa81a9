"""Train one sparse coder from cached activations."""

from latent_ledger.job import Job, fill


def compute(job, out):
    from latent_ledger import train

    activations = {name: job.input(name).folder() for name in ("reads", "writes")}
    return train.produce(job.settings, activations, out, job.checkpoint())


Job.from_snakemake(snakemake).run(fill(compute))
