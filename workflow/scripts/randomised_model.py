"""Draw the language model's weights anew: a control that never saw text."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.models import randomise

    return randomise.produce(job.settings, job.input("model").folder(), out)


Job.from_snakemake(snakemake).run(fill(compute))
