"""sae_probes' sparse probes on one coder, through the adapter, from prefilled activations."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.coders import saelens
    from latent_ledger.evaluations.sae_probes import probes
    from latent_ledger.models.device import best_device

    sae = saelens.to_saelens(job.input("coder").folder(), device=best_device())
    tokens, baseline = job.input("tokens").folder(), job.input("baseline")
    return probes.produce(
        job.settings, sae, tokens, baseline.folder(), baseline.facts["hook_point"], out
    )


Job.from_snakemake(snakemake).run(fill(compute))
