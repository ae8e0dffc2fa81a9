"""Train one sparse coder from cached activations."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.coders.training import trainer

    activations = {name: job.input(name).folder() for name in ("input_hook", "output_hook")}
    return trainer.produce(job.settings, activations, out, job.checkpoint())


Job.from_snakemake(snakemake).run(fill(compute))
