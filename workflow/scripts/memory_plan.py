"""Say where one scorer fits, beside the model under study and alone."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.memory import evaluation as memory

    return memory.produce(job.settings, out)


Job.from_snakemake(snakemake).run(fill(compute))
