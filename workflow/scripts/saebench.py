"""SAEBench's sparse probing of one coder, through the adapter, from prefilled activations."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from itertools import product

    import torch

    from latent_ledger.coders import saelens
    from latent_ledger.evaluations.saebench import sparse_probing

    device = "cuda" if torch.cuda.is_available() else "cpu"
    sae = saelens.to_saelens(job.input("coder").folder(), device=device)
    names = [
        f"{one}/{size}" for one, size in product(job.settings["datasets"], job.settings["sizes"])
    ]
    artifacts = {name: job.input(f"artifact{i}").folder() for i, name in enumerate(names)}
    return sparse_probing.produce(job.settings, sae, artifacts, out)


Job.from_snakemake(snakemake).run(fill(compute))
