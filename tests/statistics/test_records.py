"""Metric records: computed from their tables, and refused when they would say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.statistics.reading import values_of
from latent_ledger.statistics.records import Records, add_rows

COLUMNS = {"doc_id": [1, 2, 3], "part": ["a", "a", "b"], "sum": [1.0, 4.0, 9.0], "size": [1, 4, 3]}
ABOUT = {"unit": "document", "higher_is_better": True, "description": "A test."}


@pytest.fixture
def records(tmp_path) -> Records:
    records = Records(tmp_path, resamples=100, seed=3)
    records.table("documents.parquet", COLUMNS)
    return records


def ratio(records: Records, name: str, **where: str) -> float:
    return records.measure(
        name,
        "ratio",
        "documents.parquet",
        where=where,
        unit_id="doc_id",
        numerator="sum",
        denominator="size",
        **ABOUT,
    )


def test_measure_records_statistic_of_its_table(records):
    assert ratio(records, "everywhere") == 14 / 8
    assert ratio(records, "inside", part="a") == 1.0
    records.add("given", 0.5, n=3, **ABOUT)
    records.write({"fact": 1})
    written = read_json(records.out / "metrics.json")
    everywhere, inside, given = written["metrics"]
    assert written["facts"] == {"fact": 1}
    assert everywhere["ci"][0] <= 14 / 8 <= everywhere["ci"][1]
    assert (inside["n"], inside["where"], inside["seed"]) == (2, {"part": "a"}, 3)
    assert values_of(records.out, "inside").estimate() == 1.0
    assert (given["ci"], given["statistic"], given["resamples"]) == (None, None, None)
    assert set(given) == set(inside)


def test_share_is_of_true_rows_with_wilsons_interval(records):
    records.table("latents.parquet", {"latent": range(10), "is_dead": [True] + [False] * 9})
    records.share("dead", "latents.parquet", unit_id="latent", value="is_dead", **ABOUT)
    records.write({})
    dead = records.metrics["dead"]
    assert (dead["estimate"], dead["n"]) == (0.1, 10)
    assert dead["ci"] == pytest.approx([0.0179, 0.4042], abs=1e-4)
    assert values_of(records.out, "dead").estimate() == 0.1


def test_measure_of_one_unit_has_no_interval(records):
    ratio(records, "single", part="b")
    assert records.metrics["single"]["estimate"] == 3.0
    assert records.metrics["single"]["ci"] is None


def test_measure_without_rows_is_refused(records):
    with pytest.raises(LedgerError, match="nowhere has no document to be measured on"):
        ratio(records, "nowhere", part="c")


def test_metric_name_used_twice_is_refused(records):
    ratio(records, "twice")
    with pytest.raises(ValueError, match="recorded twice"):
        ratio(records, "twice")


def test_add_rows_adds_values_to_their_owners():
    sums = {"a": np.zeros(3), "b": np.ones(3)}
    add_rows(sums, np.array([2, -1, 0, 2]), {"a": np.array([1.0, 10.0, 3.0, 4.0])})
    np.testing.assert_array_equal(sums["a"], [3, 0, 5])
    np.testing.assert_array_equal(sums["b"], [1, 1, 1])
