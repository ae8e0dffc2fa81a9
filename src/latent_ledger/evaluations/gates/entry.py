"""The stage of the gates: conditions that hold before a number may earn its row."""

from latent_ledger.evaluations.gates import plan, rows
from latent_ledger.planning import paths
from latent_ledger.planning.stage import Stage
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


EVALUATION = Stage(
    name="gates",
    costs={
        "reader_fidelity": Cost(_fidelity, mem_mb=3_000),
        "saelens_fidelity": Cost(_fidelity, mem_mb=3_000),
        "reconstruction_nulls": Cost(_reconstruction_nulls, mem_mb=3_000),
        "probing_nulls": Cost(_probing_nulls, mem_mb=3_000),
    },
    makes={
        paths.ReaderGate: plan.reader_job,
        paths.SaelensGate: plan.saelens_job,
        paths.NullsGate: plan.nulls_job,
    },
    rows=plan.rows,
    readers={"gate": rows.read},
    section=rows.section,
)
