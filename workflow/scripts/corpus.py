"""Split the corpus's documents by hash into disjoint parts."""

from latent_ledger.artifacts.job import Job


def compute(job, folders):
    from latent_ledger.text import corpus

    parts = job.settings["parts"]
    fractions = {name: round(p["interval"][1] - p["interval"][0], 10) for name, p in parts.items()}
    return corpus.produce({**job.settings, "parts": fractions}, folders)


Job.from_snakemake(snakemake).run(compute)
