"""Every evaluation and control in one small run: nothing fails, and absence is told as absence."""

import pytest

from latent_ledger.experiment import load
from latent_ledger.ledger.row import COLUMNS, Row
from latent_ledger.planning import graph
from latent_ledger.planning.registry import STAGES
from tests.project import PROJECT
from tests.workflow.conftest import MICRO

pytestmark = pytest.mark.slow


def test_every_evaluation_gives_its_rows(whole):
    base, *overlays = (whole.root / name for name in ("config/tiny.yaml", *whole.overlays))
    experiment = load(base, overlays)
    planned = {row.run_id for row in graph.rows(experiment)}
    rows = {row["run_id"]: row for row in whole.rows()}
    assert set(rows) == planned | set(experiment["references"])
    failed = {name: row["notes"] for name, row in rows.items() if row["label"] == "failed"}
    assert not failed
    assert all(row["key_results"] for row in rows.values())
    matched = rows["h2h-detection-lexical-matched-skip-transcoder-vs-sae-resid-k8-s0"]
    assert "matched on frequency" in matched["key_results"] and matched["metrics"][0]["n"] > 1


def test_the_ledger_has_a_section_for_every_question(whole):
    text = (whole.root / "results/ledger.md").read_text()
    alpha = load(whole.root / "config/tiny.yaml")["ledger"]["alpha"]
    for stage in STAGES:
        if stage.section:
            rows = [as_row(row, alpha) for row in whole.rows() if row["row_type"] in stage.readers]
            section = stage.section(rows)
            if rows or stage.name != "memory":  # nothing here needs a GPU, so nothing is planned
                assert section.strip().splitlines()[0] in text, stage.name


def as_row(row: dict, alpha: float) -> Row:
    """A row of ledger.json as the ledger had it."""
    values = {name: row[name] for name in COLUMNS}
    facts = row["facts"]
    return Row(row["run_id"], row["row_type"], values, row["metrics"], facts=facts, alpha=alpha)


def test_figures_lie_beside_the_ledger(whole):
    for name in ("pareto.svg", "pareto.png", "sweep.svg", "sweep.png"):
        assert (whole.root / "results/figures" / name).stat().st_size > 1000


def test_every_job_left_a_record_with_its_memory_and_time(whole):
    jobs = graph.jobs(load(PROJECT / "config/tiny.yaml", [PROJECT / MICRO]))
    names = {graph.record_name(name, job).removesuffix(".json") for name, job in jobs.items()}
    records = whole.records()
    assert set(records) == names
    assert all({"peak_memory_mib", "seconds"} <= set(record) for record in records.values())


DEAD = """
evaluations:
  autointerp:
    scorers:
      dead: {backend: openai, base_url: "http://127.0.0.1:9/v1", model: any, retries: 0}
comparisons:
  families:
    dead: {metrics: [autointerp.detection_dead], pairs: [[skip-transcoder, sae-resid]]}
"""


def test_a_dead_endpoint_fails_its_own_rows_and_no_others(whole_checkout):
    """Its explanations fail; the rule's scores, the embeddings and all they lead to stand."""
    before = {row["run_id"]: row for row in whole_checkout.rows()}
    (whole_checkout.root / "dead.yaml").write_text(DEAD)
    whole_checkout.overlays = (*whole_checkout.overlays, "dead.yaml")
    whole_checkout.snakemake(ok=False)
    rows = {row["run_id"]: row for row in whole_checkout.rows()}
    new = {name: row for name, row in rows.items() if name not in before}
    assert sorted(new) == [
        "ai-sae-resid-k8-s0-dead",
        "ai-skip-transcoder-k8-s0-dead",
        "h2h-detection-dead-skip-transcoder-vs-sae-resid-k8-s0",
    ]
    for row in new.values():
        assert row["label"] == "failed" and not row["metrics"]
        assert "No server answers at http://127.0.0.1:9/v1" in row["notes"]
    assert [name for name in before if rows[name]["label"] == "failed"] == []
    assert {name: rows[name]["key_results"] for name in before} == {
        name: row["key_results"] for name, row in before.items()
    }
    assert before["ai-sae-resid-k8-s0-lexical"]["metrics"]
