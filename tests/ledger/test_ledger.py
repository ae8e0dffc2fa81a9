"""Rows of the ledger: current, stale, failed and superseded ones, and how they are written."""

import dataclasses
import shutil

import pytest

from latent_ledger.ledger import report
from latent_ledger.ledger.row import COLUMNS
from latent_ledger.lib.files import read_json, write_json
from tests.ledger.planted import (
    CODER,
    METRICS,
    RECONSTRUCTION,
    RUN,
)


def test_a_number_with_its_record_becomes_a_row_of_18_columns(planted):
    row = planted.row()
    assert tuple(row.values) == COLUMNS and len(COLUMNS) == 18
    assert row.label == "novel"
    assert "variance explained 0.700 [0.600, 0.800] (n=9 documents" in row.values["key_results"]
    assert row.values["sparsity"] == "k=8, L0=8.0"
    assert (row.values["date"], row.values["wall_clock"]) == ("2026-01-02", "2.0 s")
    assert row.values["config_hash"] == row.key[:12]


def test_a_row_with_a_number_carries_the_ledgers_alpha(planted):
    planted.config["ledger"]["alpha"] = 0.01
    assert planted.row().alpha == 0.01


def test_a_missing_manifest_is_a_failed_row_with_the_reason_of_the_first_failure(planted):
    path = "coders/sae-mlp-k8-s0.json"
    record = {**RUN, "status": "failed", "reason": "hook-point parity: layers.1.mlp_out differs"}
    write_json(planted.at(f"records/{path}"), record)
    failed = planted.row("train-sae-mlp-k8-s0")
    assert (failed.label, failed.values["key_results"]) == ("failed", "")
    blocked = planted.row("recon-sae-mlp-k8-s0")
    assert blocked.values["notes"].startswith(
        f"not run, because results/micro/{path} failed: hook-point parity"
    )


@pytest.mark.parametrize("rule", ["reconstruction", "train_coder", "language_model"])
def test_a_number_whose_own_or_upstream_code_changed_is_not_shown(planted, rule):
    planted.code[rule] = "edited"
    row = planted.row()
    assert (row.label, row.values["key_results"]) == ("stale", "")
    assert "the code of" in row.values["notes"]


def test_a_number_made_from_another_input_is_not_shown(planted):
    planted.make(
        f"coders/{CODER}.json", facts={"tokens": 6, "steps": 2, "fvu": 0.2, "dead_share": 0.0}
    )
    row = planted.row()
    assert row.label == "stale" and "another version of its input 'coder'" in row.values["notes"]


def test_a_number_made_from_another_planned_manifest_is_not_shown(planted):
    """Its input has the digest of a manifest of this experiment, and is not that job's input."""
    path = planted.at(RECONSTRUCTION)
    content = read_json(path)
    content["made_by"]["inputs"]["coder"] = read_json(planted.at("model.json"))["digest"]
    write_json(path, content)
    row = planted.row()
    assert row.label == "stale" and "another version of its input 'coder'" in row.values["notes"]
    content["made_by"]["inputs"] = {"former": "x"}
    write_json(path, content)
    assert planted.row().label == "stale" and not planted.row().values["key_results"]


def test_a_rerun_supersedes_and_says_which_function_changed(planted):
    first = planted.row()
    planted.code["reconstruction"] = "edited"
    planted.make(RECONSTRUCTION, metrics=METRICS)
    rows = [row for row in planted.write() if row.run_id == first.run_id]
    assert [row.label for row in rows] == ["novel", "superseded"]
    assert rows[1].key == first.key != rows[0].key
    assert "reconstruction: code: reconstruction:f" in rows[1].values["notes"]
    assert "reconstruction:g" not in rows[1].values["notes"]
    assert [row.label for row in planted.write() if row.run_id == first.run_id] == [
        "novel",
        "superseded",
    ], "rendering twice adds nothing"


def test_an_upstream_change_is_named_where_it_happened(planted):
    planted.write()
    planted.code["train_coder"] = "edited"
    facts = {"tokens": 5, "steps": 2, "fvu": 0.1, "dead_share": 0.0}
    planted.make_all(train_coder=(None, facts))
    old = [r for r in planted.write() if r.run_id == f"recon-{CODER}" and r.label == "superseded"]
    assert "train_coder: code: train_coder:f" in old[0].values["notes"]


def test_a_failure_between_two_equal_numbers_is_remembered(planted):
    planted.write()
    path = planted.at(RECONSTRUCTION)
    manifest = path.read_bytes()
    record = planted.at(f"records/reconstruction/{CODER}.json")
    path.unlink()
    write_json(record, {**RUN, "status": "failed", "reason": "encode fidelity: Jaccard 0.07"})
    assert planted.row().values["notes"] == "encode fidelity: Jaccard 0.07"
    path.write_bytes(manifest)
    write_json(record, RUN)
    rows = [row for row in planted.write() if row.run_id == f"recon-{CODER}"]
    assert [row.label for row in rows] == ["novel", "superseded"]
    assert "encode fidelity: Jaccard 0.07" in rows[1].values["notes"]
    assert rows[1].values["key_results"] == ""


def test_history_survives_the_loss_of_results(planted):
    planted.write()
    planted.code["reconstruction"] = "edited"
    shutil.rmtree(planted.root / "results")
    planted.make_all()
    labels = [row.label for row in planted.write() if row.run_id == f"recon-{CODER}"]
    assert labels == ["novel", "superseded"]


def test_equal_rows_give_equal_text_and_cells_cannot_break_the_table(planted):
    rows = planted.write()
    assert report.markdown(planted.config, rows) == report.markdown(planted.config, rows)
    rows[0] = dataclasses.replace(rows[0], values={**rows[0].values, "notes": "a|b\nc"})
    text = report.markdown(planted.config, rows)
    assert "a\\|b c |" in text
