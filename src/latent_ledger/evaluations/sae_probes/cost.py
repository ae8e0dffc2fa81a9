"""Cost of sae_probes' jobs, in operations, bytes and seconds."""

from latent_ledger.resources.work import MB, PROBE, Cost, Planned, Work, resampling, takes


def _sae_probes_sets(job: Planned) -> tuple[float, float]:
    """Examples of all data sets, and the number of fits over them."""
    block = job.block("sae_probes")
    return len(block["datasets"]) * block["examples"], len(block["seeds"])


def _sae_probes_baseline(job: Planned) -> Work:
    texts, seeds = _sae_probes_sets(job)
    return Work(disk=job.activations, seconds=5 + texts * seeds * job.d / PROBE, host_mb=2_000)


def _sae_probes(job: Planned) -> Work:
    texts, seeds = _sae_probes_sets(job)
    features = sum(job.settings["top_k"])
    seconds = resampling(job) + texts * seeds * (features + job.d / 10) / PROBE
    held = 4.0 * texts / len(job.block("sae_probes")["datasets"]) * job.width
    return Work(
        exact=job.encoded(texts), seconds=seconds, host_mb=(job.coder_bytes + 4 * held) / MB
    )


COSTS = {
    "probe_texts": Cost(takes(20), mem_mb=3_000),
    "sae_probes_baseline": Cost(_sae_probes_baseline, mem_mb=3_000),
    "sae_probes": Cost(_sae_probes, mem_mb=3_000),
}
