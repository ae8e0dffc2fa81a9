"""Prefill activations and baselines of SAEBench's sparse probing for a hook point and size."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.saebench import artifacts

    return artifacts.produce(
        job.settings, job.input("tokens").folder(), job.input("raw").folder(), out
    )


Job.from_snakemake(snakemake).run(fill(compute))
