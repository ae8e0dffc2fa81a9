"""Cost of probing jobs: operations, bytes and seconds."""

from latent_ledger.resources.work import MB, PROBE, Cost, Planned, Work, resampling


def _probing(job: Planned) -> Work:
    values = job.examples() * (job.width + job.d)
    return Work(seconds=resampling(job) + values / PROBE, host_mb=16 * values / MB)


COSTS = {"probing": Cost(_probing, mem_mb=3_000)}
