"""Say where one scorer fits, beside the model under study and alone."""

from latent_ledger.job import Job, fill


def compute(job, out):
    from latent_ledger.evals import memory

    return memory.produce(job.settings, out)


Job.from_snakemake(snakemake).run(fill(compute))
