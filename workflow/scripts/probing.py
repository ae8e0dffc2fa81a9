"""Probe codes for labelled concepts, beside the raw site and a bag of tokens."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.probing import evaluation as probing

    folders = {name: job.input(name).folder() for name in ("tokens", "raw", "codes")}
    return probing.produce(job.settings, **folders, out=out)


Job.from_snakemake(snakemake).run(fill(compute))
