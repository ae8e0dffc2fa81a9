"""Train the embedded language model, or pin a published one."""

from latent_ledger.job import Job, fill


def compute(job, out):
    if job.settings["source"] == "embedded":
        from latent_ledger import train_lm

        text = job.input("text").folder()
        return train_lm.produce(job.settings, text, out, job.checkpoint())
    from latent_ledger import lm

    return lm.produce_reference(job.settings, out)


Job.from_snakemake(snakemake, "language_model").run(fill(compute))
