"""Our metrics beside SAEBench's core, for one coder."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.coders import saelens
    from latent_ledger.evaluations.saebench import core
    from latent_ledger.models.device import best_device

    sae = saelens.to_saelens(job.input("coder").folder(), device=best_device())
    names = ("model", "tokens", "input_hook", "codes", "coder")
    folders = {name: job.input(name).folder() for name in names}
    return core.produce(job.settings, sae, **folders, out=out)


Job.from_snakemake(snakemake).run(fill(compute))
