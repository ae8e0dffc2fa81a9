"""Encode cached activations into the coder's sparse latents."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.coders import codes

    return codes.produce(
        job.settings, job.input("activations").folder(), job.input("coder").folder(), out
    )


Job.from_snakemake(snakemake).run(fill(compute))
