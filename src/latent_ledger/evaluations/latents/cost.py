"""Cost of latent statistics jobs: operations, bytes and seconds."""

from latent_ledger.resources.work import MB, Cost, Planned, Work, resampling


def _latents(job: Planned) -> Work:
    firings = job.tokens * job.k
    return Work(
        disk=8 * firings, seconds=resampling(job) + firings / 2e6, host_mb=40 * firings / MB
    )


COSTS = {"latents": Cost(_latents)}
