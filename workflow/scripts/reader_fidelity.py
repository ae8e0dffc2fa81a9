"""Check that our reader of a coder computes what the coder's own library does."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.gates import reader_fidelity

    folders = {name: job.input(name).folder() for name in ("activations", "coder")}
    return reader_fidelity.produce(job.settings, **folders, out=out)


Job.from_snakemake(snakemake).run(fill(compute))
