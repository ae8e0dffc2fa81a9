"""Cost of circuit jobs: operations, bytes and seconds."""

from latent_ledger.resources.work import MB, PROBE, Cost, Planned, Work, resampling


def _circuits(job: Planned) -> Work:
    drawn = len(job.settings["concepts"]) * job.settings["draws"] * len(job.settings["top_k"])
    values = job.examples() * sum(spec.width or 16_384 for spec in job.coders)
    seconds = resampling(job) + 0.01 * drawn + values / PROBE
    return Work(seconds=seconds, host_mb=16 * values / MB)


COSTS = {
    "circuits": Cost(_circuits, mem_mb=3_000),
    "multilayer_circuits": Cost(_circuits, mem_mb=6_000),
}
