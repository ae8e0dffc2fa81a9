"""Check that a coder turned into a SAELens object is still the same coder."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.gates import saelens_fidelity

    folders = {name: job.input(name).folder() for name in ("activations", "coder")}
    return saelens_fidelity.produce(job.settings, **folders, out=out)


Job.from_snakemake(snakemake).run(fill(compute))
