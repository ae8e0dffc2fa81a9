"""SAEBench's sparse probing of one coder, through the adapter, from prefilled activations."""

from latent_ledger.job import Job, fill


def compute(job, out):
    import torch

    from latent_ledger.adapters import saelens
    from latent_ledger.evals.saebench import sparse_probing

    device = "cuda" if torch.cuda.is_available() else "cpu"
    sae = saelens.to_saelens(job.input("coder").folder(), device=device)
    artifacts = {size: job.input(f"artifacts/{size}").folder() for size in job.settings["sizes"]}
    return sparse_probing.produce(job.settings, sae, artifacts, out)


Job.from_snakemake(snakemake).run(fill(compute))
