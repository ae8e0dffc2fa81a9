"""Train the embedded language model, or pin a published one."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    if job.settings["source"] == "embedded":
        from latent_ledger.models import training

        text = job.input("text").folder()
        return training.produce(job.settings, text, out, job.checkpoint())
    from latent_ledger.models import language_model

    return language_model.produce_reference(job.settings, out)


Job.from_snakemake(snakemake, "language_model").run(fill(compute))
