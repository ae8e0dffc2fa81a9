"""What attempts in the cloud cost, and what failed of those that left no record."""

import json

import pytest

from latent_ledger.artifacts import cloud_attempts
from latent_ledger.lib.errors import LedgerError


def attempt(
    sandbox: str, outcome: str, cost: float | None, started: str = "2026-11-01T10:00"
) -> dict:
    return {
        "sandbox": sandbox,
        "outcome": outcome,
        "cost_usd": cost,
        "cause": "out of memory with mem_mb=2000",
        "started": started,
        "seconds": 12.0,
        "gpu": "L4",
        "cores": 2.0,
    }


def record(sandbox: str = "", **more) -> dict:
    return {
        "status": "done",
        "sandbox": sandbox,
        "cost_usd": 0.5,
        "started": "2026-11-01T09:00",
    } | more


def test_attempts_are_read_in_order_and_none_where_there_is_no_file(tmp_path):
    path = tmp_path / "coder.json"
    assert cloud_attempts.read(path) == []
    lines = [attempt("a", "failed", 1.0), attempt("b", "done", 2.0)]
    (tmp_path / "coder.json.attempts.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines)
    )
    assert cloud_attempts.read(path) == lines


def test_a_broken_attempts_file_is_one_line(tmp_path):
    (tmp_path / "coder.json.attempts.jsonl").write_text("{\n")
    with pytest.raises(
        LedgerError, match="attempts.jsonl is not readable .*delete it and run again"
    ):
        cloud_attempts.read(tmp_path / "coder.json")


def test_a_run_costs_its_own_attempt_and_the_failed_ones_directly_before_it():
    attempts = [
        attempt("a", "done", 8.0),
        attempt("b", "failed", 1.0),
        attempt("c", "failed", None),
        attempt("d", "done", 2.0),
        attempt("e", "failed", 4.0),
    ]
    assert cloud_attempts.cost(record("d"), attempts) == 3.0
    assert cloud_attempts.cost(record("a"), attempts) == 8.0


def test_a_run_without_an_attempt_keeps_its_own_cost():
    attempts = [attempt("a", "done", 8.0)]
    assert cloud_attempts.cost(record(), attempts) == 0.5
    assert cloud_attempts.cost(record("of another checkout"), attempts) == 0.5


def test_a_last_attempt_that_failed_without_a_record_becomes_one():
    failed = cloud_attempts.failure({}, [attempt("a", "failed", None)])
    assert failed is not None
    assert failed["status"] == "failed" and failed["reason"] == "out of memory with mem_mb=2000"
    assert (failed["device"], failed["threads"], failed["cost_usd"]) == ("L4", 2, 0.0)
    older = record("z", started="2026-10-01")
    assert cloud_attempts.failure(older, [attempt("a", "failed", 1.0)])["sandbox"] == "a"


def test_an_attempt_that_has_a_record_or_ended_well_is_no_failure_of_its_own():
    assert cloud_attempts.failure({}, []) is None
    assert cloud_attempts.failure({}, [attempt("a", "done", 1.0)]) is None
    same = record("a", status="failed")
    assert cloud_attempts.failure(same, [attempt("a", "failed", 1.0)]) is None
    newer = record("z", started="2026-12-01")
    assert cloud_attempts.failure(newer, [attempt("a", "failed", 1.0)]) is None
