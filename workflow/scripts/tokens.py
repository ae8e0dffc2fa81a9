"""Cut text into fixed-length contexts, or lay one labelled example per row."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.text import tokens

    pack = tokens.pack_examples if job.settings["layout"] == "examples" else tokens.pack
    return pack(job.settings, job.input("text").folder(), job.input("model").folder(), out)


Job.from_snakemake(snakemake).run(fill(compute))
