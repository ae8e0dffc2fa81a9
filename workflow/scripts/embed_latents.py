"""Score latents by the similarity of their examples, without an explanation."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.autointerp import embed

    return embed.produce(job.settings, job.input("examples").folder(), out)


Job.from_snakemake(snakemake).run(fill(compute))
