"""SAEBench's sparse probing of one coder, through the adapter, from prefilled activations."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.coders import saelens
    from latent_ledger.evaluations.saebench import sparse_probing
    from latent_ledger.models.device import best_device

    sae = saelens.to_saelens(job.input("coder").folder(), device=best_device())
    artifacts = {
        name.removeprefix("artifact/"): job.input(name).folder()
        for name in job.inputs
        if name.startswith("artifact/")
    }
    return sparse_probing.produce(job.settings, sae, artifacts, out)


Job.from_snakemake(snakemake).run(fill(compute))
