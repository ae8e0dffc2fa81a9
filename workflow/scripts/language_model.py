"""Train the embedded language model, or pin a published one."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.models.sources.registry import source_of

    origin = source_of(job.settings["source"])
    inputs = {"text": job.input("text").folder()} if origin.trained else {}
    return origin.produce(job.settings, inputs, out, job.checkpoint)


Job.from_snakemake(snakemake, "language_model").run(fill(compute))
