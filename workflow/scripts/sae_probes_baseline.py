"""Prefill sae_probes' activations of one hook point, and fit its baseline on them."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.sae_probes import baselines

    return baselines.produce(
        job.settings, job.input("tokens").folder(), job.input("raw").folder(), out
    )


Job.from_snakemake(snakemake).run(fill(compute))
