"""Capture the activations of every hook point the store does not hold yet, in one forward pass."""

from latent_ledger.artifacts.job import Job


def compute(job, folders):
    from latent_ledger.models.capture import capture
    from latent_ledger.models.hook_points import HookPoint

    facts = capture(
        {**job.settings, "parts": None},
        job.input("model").folder(),
        job.input("tokens").folder(),
        {HookPoint.parse(name): out for name, out in folders.items()},
        partial=job.checkpoint(next(iter(folders))),
    )
    return {str(hook_point): measured for hook_point, measured in facts.items()}


Job.from_snakemake(snakemake, rule="capture").run(compute)
