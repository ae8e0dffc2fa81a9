"""Cost of the gates' jobs, in operations, bytes and seconds."""

from latent_ledger.resources.work import MB, Cost, Planned, Work, resampling


def _fidelity(job: Planned) -> Work:
    rows = job.settings["random_rows"] + job.settings["real_rows"]
    return Work(
        exact=4 * job.encoded(rows),
        disk=job.coder_bytes,
        seconds=5,
        host_mb=4 * (job.coder_bytes + 4.0 * rows * job.width) / MB,
    )


def _probing_nulls(job: Planned) -> Work:
    return Work(disk=job.activations, seconds=10, host_mb=8 * job.activations / MB)


def _reconstruction_nulls(job: Planned) -> Work:
    return Work(disk=job.activations, seconds=resampling(job), host_mb=4 * job.activations / MB)


COSTS = {
    "reader_fidelity": Cost(_fidelity, mem_mb=3_000),
    "saelens_fidelity": Cost(_fidelity, mem_mb=3_000),
    "reconstruction_nulls": Cost(_reconstruction_nulls, mem_mb=3_000),
    "probing_nulls": Cost(_probing_nulls, mem_mb=3_000),
}
