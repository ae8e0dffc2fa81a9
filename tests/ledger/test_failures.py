"""Every job that fails is named by every row that it leaves without a number."""

import pytest

from latent_ledger.artifacts.provenance import Project
from latent_ledger.artifacts.store import Store
from latent_ledger.experiment import load
from latent_ledger.ledger.ledger import Ledger
from latent_ledger.lib.files import write_json
from latent_ledger.planning import graph
from tests.project import PROJECT

EXPERIMENTS = {
    "tiny": ["config/tiny.yaml"],
    "gemma": ["config/config.yaml"],
    "micro": ["config/tiny.yaml", "tests/workflow/micro.yaml"],
}
FIRST = ("corpus", "corpus_slice", "concepts", "saebench_texts", "language_model", "probe_texts")
"""Rules that reach for the network first, and so fail first."""


def downstream(jobs) -> dict[str, set[str]]:
    """Manifest -> everything that rests on it, itself included."""
    below = {name: {name} for name in jobs}
    for name in reversed(list(jobs)):
        for above in jobs[name].manifests():
            below[above] |= below[name]
    return below


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_failed_job_is_named_by_every_row_that_loses_its_number(experiment, tmp_path):
    first, *overlays = (PROJECT / name for name in EXPERIMENTS[experiment])
    config = load(first, overlays)
    ledger = Ledger(config, Store(tmp_path / "store"), Project(PROJECT), tmp_path)
    rows, below = graph.rows(config, ledger.jobs), downstream(ledger.jobs)
    for name in ledger.jobs:
        ledger.path(name).parent.mkdir(parents=True, exist_ok=True)
        ledger.path(name).touch()
    planted = [
        name for name, job in ledger.jobs.items() if experiment == "micro" or job.rule in FIRST
    ]
    assert len(planted) > 5
    for name in planted:
        record = ledger.path(f"records/{graph.record_name(name, ledger.jobs[name])}")
        write_json(record, {"status": "failed", "reason": "planted"})
        lost = below[name]
        for gone in lost:
            ledger.path(gone).unlink()
        for row in rows:
            if row.manifest in lost:
                reason = ledger._failure(row)
                other = (
                    "" if row.manifest == name else f"results/{config['experiment']}/{name} failed"
                )
                assert reason.endswith("planted") and other in reason, (name, row.run_id, reason)
        for gone in lost:
            ledger.path(gone).touch()
        record.unlink()
