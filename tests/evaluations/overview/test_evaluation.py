"""The overview: hand-computed fronts, seeds, and figures of equal bytes."""

import numpy as np
import pytest

from latent_ledger.evaluations.overview import evaluation as overview
from latent_ledger.lib.files import read_json
from latent_ledger.statistics.records import Records

RESAMPLES = 400


def evaluation(folder, metric, values, unit, ids=None):
    """An evaluation folder with one mean metric over the given per-unit values."""
    folder.mkdir(parents=True)
    records = Records(folder, resamples=RESAMPLES, seed=0)
    ids = np.arange(len(values)) if ids is None else ids
    records.table("units.parquet", {"unit_id": ids, "value": np.asarray(values, float)})
    records.measure(
        metric,
        "mean",
        "units.parquet",
        unit=unit,
        higher_is_better=True,
        description="planted",
        unit_id="unit_id",
        value="value",
    )
    records.write({})
    return folder


def point(name, *, seed=0, control=False, k=32):
    coder = name.split("-k")[0]
    return {
        "name": name,
        "coder": coder,
        "architecture": "sae",
        "k": k,
        "seed": seed,
        "control": control,
    }


@pytest.fixture
def planted(tmp_path):
    """A and B trade off, C is dominated by both, R is a control better than all."""
    rng = np.random.default_rng(0)
    fidelity = {"a": 0.9, "b": 0.5, "c": 0.3, "r": 0.99}
    interpretability = {"a": 0.6, "b": 0.8, "c": 0.4, "r": 0.99}
    tables, points = {}, []
    noise = rng.normal(0, 0.05, 60)
    for name in fidelity:
        spec = f"{name}-k32-s0"
        tables[f"reconstruction/{spec}"] = evaluation(
            tmp_path / "r" / name, "loss_recovered", fidelity[name] + noise, "document"
        )
        tables[f"autointerp/{spec}"] = evaluation(
            tmp_path / "i" / name,
            "detection",
            interpretability[name] + rng.normal(0, 0.05, 20),
            "latent",
        )
        points.append(point(spec, control=name == "r"))
    settings = {
        "x": "reconstruction.loss_recovered",
        "y": "autointerp.detection",
        "points": points,
        "sweep": {"reconstruction.loss_recovered": points[:3]},
        "resamples": RESAMPLES,
        "seed": 0,
    }
    return settings, tables


def test_front_of_hand_computed_points():
    points = np.array([[1.0, 3.0], [2.0, 2.0], [1.0, 2.0], [2.0, 2.0], [0.0, 4.0]])[:, :, None]
    # (1, 2) is dominated by (1, 3) and (2, 2); equal points do not dominate each other
    assert overview.front(points)[:, 0].tolist() == [True, True, False, True, True]


def test_an_undefined_value_dominates_nothing():
    points = np.array([[np.nan, 9.0], [1.0, 1.0]])[:, :, None]
    assert overview.front(points)[:, 0].tolist() == [True, True]


def test_planted_front_is_recovered_without_controls(planted, tmp_path):
    settings, tables = planted
    out = tmp_path / "out"
    out.mkdir()
    facts = overview.produce(settings, tables, out)
    rows = {row["name"]: row for row in facts["pareto"]}
    assert {name for name, row in rows.items() if row["on_front"]} == {"a-k32-s0", "b-k32-s0"}
    assert rows["a-k32-s0"]["front_share"] == 1.0
    assert rows["c-k32-s0"]["front_share"] == 0.0
    assert rows["r-k32-s0"]["front_share"] == 0.0, "a control is no contender"
    metrics = {m["name"]: m["estimate"] for m in read_json(out / "metrics.json")["metrics"]}
    assert metrics["front_share/b-k32-s0"] == 1.0


def test_tie_on_one_axis_gives_fractional_front_shares(tmp_path):
    rng = np.random.default_rng(1)
    tables, points = {}, []
    for name, level in (("a", 0.50), ("b", 0.51)):
        spec = f"{name}-k32-s0"
        tables[f"reconstruction/{spec}"] = evaluation(
            tmp_path / "r" / name, "loss_recovered", np.full(30, 0.5), "document"
        )
        tables[f"autointerp/{spec}"] = evaluation(
            tmp_path / "i" / name, "detection", level + rng.normal(0, 0.2, 30), "latent"
        )
        points.append(point(spec))
    settings = {
        "x": "reconstruction.loss_recovered",
        "y": "autointerp.detection",
        "points": points,
        "sweep": {},
        "resamples": RESAMPLES,
        "seed": 0,
    }
    rows = overview.pareto_rows(settings, tables)
    shares = [row["front_share"] for row in rows]
    assert 0.05 < min(shares) < max(shares) < 0.95, "noise decides, and the share says so"


def test_seed_spread_equals_hand_computed_value(tmp_path):
    tables = {}
    for seed, level in ((0, 0.2), (1, 0.4)):
        tables[f"reconstruction/a-k32-s{seed}"] = evaluation(
            tmp_path / str(seed), "variance_explained", level + np.array([-0.1, 0.1]), "document"
        )
    settings = {
        "sweep": {
            "reconstruction.variance_explained": [point("a-k32-s0"), point("a-k32-s1", seed=1)]
        },
        "resamples": 4000,
        "seed": 0,
    }
    (row,) = overview.seed_rows(overview.sweep_rows(settings, tables))
    assert row["mean"] == pytest.approx(0.3)
    assert row["seed_sd"] == pytest.approx(np.sqrt(0.02))  # of 0.2 and 0.4, n - 1
    # Two units of +-0.1: a resample's mean is -0.1, 0, 0, 0.1, so its sd is 0.1 / sqrt(2)
    assert row["sampling_se"] == pytest.approx(0.1 / np.sqrt(2), rel=0.05)


def test_sampling_error_is_the_root_mean_square_of_unequal_ones():
    shared = {"metric": "recon.loss", "coder": "a", "k": 8}
    sweep = [
        {**shared, "seed": 0, "estimate": 0.5, "se": 0.1},
        {**shared, "seed": 1, "estimate": 0.6, "se": 0.7},
        {**shared, "coder": "alone", "seed": 0, "estimate": 0.9, "se": 9.0},
    ]
    (row,) = overview.seed_rows(sweep)
    assert row["seeds"] == 2
    # (0.01 + 0.49) / 2 = 0.25; the mean would be 0.4, and the largest 0.7
    assert row["sampling_se"] == pytest.approx(0.5)


def test_one_seed_gives_no_spread(planted):
    settings, tables = planted
    assert overview.seed_rows(overview.sweep_rows(settings, tables)) == []


def test_equal_inputs_give_equal_bytes(planted, tmp_path):
    settings, tables = planted
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        overview.produce(settings, tables, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert {"pareto.svg", "pareto.png", "sweep.svg", "sweep.png"} <= set(files)
    for name in files:
        first, second = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert first == second, name
