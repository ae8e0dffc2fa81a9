"""sae_probes' sparse probes on one coder, through the adapter, from prefilled activations."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    import torch

    from latent_ledger.coders import saelens
    from latent_ledger.evaluations.sae_probes import probes

    device = "cuda" if torch.cuda.is_available() else "cpu"
    sae = saelens.to_saelens(job.input("coder").folder(), device=device)
    tokens, baseline = job.input("tokens").folder(), job.input("baseline")
    return probes.produce(
        job.settings, sae, tokens, baseline.folder(), baseline.facts["hook_point"], out
    )


Job.from_snakemake(snakemake).run(fill(compute))
