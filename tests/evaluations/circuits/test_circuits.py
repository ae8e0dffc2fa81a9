"""Circuits on planted signals: small circuits exist when few latents carry the label."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from latent_ledger.evaluations.circuits import evaluation
from latent_ledger.evaluations.circuits.concept import Circuit, ConceptCircuits
from latent_ledger.evaluations.circuits.tables import example_rows
from latent_ledger.evaluations.probing import evaluation as probing
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.statistics import reading, resampling
from latent_ledger.statistics.records import Records
from tests.evaluations.circuits.planted import SETTINGS, Planted, metrics_of
from tests.evaluations.probing.test_evaluation import World
from tests.tiny_models import folder_digest

FLOOR = 1 / (SETTINGS["draws"] + 1)
CARRIERS = [17, 42, 99, 100, 181]


def test_circuit_of_planted_latents_is_recovered(tmp_path):
    world = Planted()
    world.plant(CARRIERS, rate=0.7, quiet=0.1)
    metrics = world.run(tmp_path)
    rows = pq.read_table(tmp_path / "latents.parquet").to_pylist()
    for concept in ("actor", "singer"):
        best = {row["latent"] for row in rows if row["concept"] == concept and row["rank"] <= 5}
        assert best == set(CARRIERS)
        assert metrics[f"gap_top5/{concept}"]["p"] == pytest.approx(FLOOR)
        assert metrics[f"gap_top5/{concept}"]["p_holm"] == pytest.approx(2 * FLOOR)
    assert metrics["gap_top5"]["ci"][0] > 0.2
    assert metrics["gap_top5"]["p_holm"] == pytest.approx(2 * FLOOR)  # two sizes
    assert metrics["gap_matched_top5"]["ci"][0] > 0.1  # such draws meet the carriers more often
    assert metrics["gap_tokens_top5"]["ci"][0] > 0.2
    assert metrics["faithfulness_top5"]["ci"][0] > 0.9  # the ceiling, or a little above it
    assert metrics["accuracy_top5"]["estimate"] == pytest.approx(
        metrics["ceiling_share_top5"]["estimate"] * metrics["ceiling"]["estimate"]
    )


def test_circuit_of_distributed_label_stays_below_ceiling(tmp_path):
    world = Planted(width=100, train=400)
    world.plant(range(100), rate=0.5, quiet=0.38)
    metrics = world.run(tmp_path)
    assert metrics["ceiling"]["estimate"] > 0.8
    assert metrics["faithfulness_top5"]["ci"][1] < 0.75
    assert metrics["accuracy_top5"]["ci"][1] < metrics["ceiling"]["ci"][0]


def test_circuit_without_signal_is_at_chance_and_leak_inflates(tmp_path):
    """Six worlds without an effect: the gap's interval has 0 in it (bar one, at 95%), no p passes,
    and choosing on test examples manufactures an accuracy that is not there."""
    missed, inflation = 0, []
    for seed in range(6):
        world = Planted(("actor",), train=60, test=60, width=600, seed=seed)
        metrics = world.run(tmp_path / str(seed), top_k=[10], headline_k=10)
        low, high = metrics["gap_top10"]["ci"]
        missed += not low <= 0 <= high
        assert metrics["gap_top10"]["p_holm"] > 0.05
        inflation.append(metrics["inflation_top10"])
    assert missed <= 1
    assert np.mean([metric["estimate"] for metric in inflation]) > 0.1
    assert sum(metric["ci"][0] > 0 for metric in inflation) >= 4


def test_circuit_with_shuffled_training_labels_has_no_effect(tmp_path):
    world = Planted(("actor",))
    world.plant(CARRIERS, rate=0.7, quiet=0.1)
    (task,) = world.tasks
    world.rng.shuffle(task.train_labels)
    metrics = world.run(tmp_path)
    low, high = metrics["accuracy_top5"]["ci"]
    assert low <= 0.5 <= high
    assert metrics["gap_top5"]["p_holm"] > 0.05


def test_latent_of_test_split_enters_only_leaked_circuit(tmp_path):
    world = Planted(("actor",))
    world.plant(CARRIERS, rate=0.7, quiet=0.1)
    world.codes[:, 7] = 3 * (world.labels == 1) * world.is_test
    world.run(tmp_path)
    rows = pq.read_table(tmp_path / "latents.parquet").to_pylist()
    assert 7 not in [row["latent"] for row in rows]
    best = [row["also_leaked"] for row in rows if row["rank"] <= 5]
    assert all(best)  # the carriers are strong enough to stay; the tenth place goes to latent 7
    assert not rows[-1]["also_leaked"]


def circuit_of(correct: list[int], random: list[list[int]]) -> tuple[ConceptCircuits, Circuit]:
    """A measured concept whose circuit and draws label its three positive examples as given."""
    scores = np.where(correct, 1.0, -1.0)
    task = probing.Task("actor", np.arange(3), np.arange(3), np.ones(3, int), np.array([1, 1, 0]))
    scores[2] *= -1  # the third example is negative
    circuit = Circuit(1, scores, scores, scores, np.array(random) == 1, None)
    matrix, nothing = np.zeros((1, 1)), np.zeros(3)
    return ConceptCircuits(
        task, [circuit], matrix, matrix, matrix, np.zeros(1), [1], nothing, nothing, {}, matrix
    ), circuit


def test_gap_interval_is_paired_over_circuit_and_draws(tmp_path):
    """By hand: correct 1, 0, 1 and mean of the draws 0.5, 0, 1 give gaps 0.5, 0, 0. In a resample
    the first example appears 0 times with p = 8/27 and 3 times with p = 1/27 > 2.5%, so the
    interval is [0, 0.5]; arms resampled on their own would reach below 0."""
    pair = circuit_of([1, 0, 1], [[1, 0, 1], [0, 0, 1]])
    rows = example_rows(*pair)
    np.testing.assert_allclose(rows["gap"], [0.5, 0, 0])
    records = Records(tmp_path, resamples=4000, seed=0)
    records.table("examples.parquet", rows)
    records.measure(
        "gap",
        "mean",
        "examples.parquet",
        unit="example",
        higher_is_better=True,
        description="gap",
        unit_id="unit_id",
        value="gap",
    )
    assert records.metrics["gap"]["estimate"] == pytest.approx(1 / 6)
    assert records.metrics["gap"]["ci"] == pytest.approx([0, 0.5])
    ids = rows["unit_id"]
    arms = [resampling.Values(ids, "mean", rows[name]) for name in ("correct", "random")]
    paired = resampling.compare(*arms, resamples=4000, seed=0)
    assert [paired.low, paired.high] == pytest.approx(records.metrics["gap"]["ci"])
    assert resampling.compare(*arms, resamples=4000, seed=0, paired=False).low < 0


def test_permutation_p_counts_ties_against_circuit():
    drawn = np.array([3, 5, 7, 9])
    assert evaluation.permutation_p(10, drawn) == pytest.approx(1 / 5)
    assert evaluation.permutation_p(9, drawn) == pytest.approx(2 / 5)
    assert evaluation.permutation_p(0, drawn) == 1.0


def test_multilayer_circuit_has_k_latents_per_layer_and_builds_up(tmp_path):
    """The label lies in the second of three layers: the first adds nothing, nor does the last."""
    world = Planted(width=120)
    world.layers = [slice(0, 40), slice(40, 80), slice(80, 120)]
    world.plant([45, 61, 70], rate=0.8, quiet=0.1)
    metrics = world.run(tmp_path, top_k=[3, 5], headline_k=3)
    rows = pq.read_table(tmp_path / "latents.parquet").to_pylist()
    for layer in (1, 2, 3):
        ranking = [row for row in rows if row["layer"] == layer and row["concept"] == "actor"]
        assert len(ranking) == 5 and all(0 <= row["latent"] < 40 for row in ranking)
        if layer == 2:
            assert {row["latent"] for row in ranking[:3]} == {5, 21, 30}
    low, high = metrics["build_up_1"]["ci"]
    assert low <= 0.5 <= high
    assert metrics["gain_2"]["ci"][0] > 0.25
    low, high = metrics["gain_3"]["ci"]
    assert low <= 0.02 and high >= -0.02
    assert metrics["build_up_3"]["estimate"] == metrics["accuracy_top3"]["estimate"]
    gains = sum(metrics[f"gain_{depth}"]["estimate"] for depth in (1, 2, 3))
    assert 0.5 + gains == pytest.approx(metrics["build_up_3"]["estimate"])
    assert read_json(tmp_path / "metrics.json")["facts"]["concepts"]["actor"]["live"] == [40] * 3


def test_circuit_of_dead_latents_raises_error(tmp_path):
    world = Planted()
    world.codes[:, 4:] = 0.0
    with pytest.raises(LedgerError, match="Only 4 of the 200 latents fire .* 'actor'.* of 10"):
        world.run(tmp_path)


def test_share_of_ceiling_at_chance_is_undefined(tmp_path):
    """All latents mislead (train and test disagree): a share would be negative or undefined."""
    world = Planted(("actor",))
    world.plant(CARRIERS, rate=0.9, quiet=0.1)
    (task,) = world.tasks
    task.train_labels[:] = 1 - task.train_labels
    metrics = world.run(tmp_path)
    assert metrics["ceiling"]["estimate"] < 0.5
    assert "faithfulness_top5" not in metrics and "gap_top5" in metrics
    undefined = read_json(tmp_path / "metrics.json")["facts"]["undefined"]
    assert undefined[0] == "faithfulness_top5" and len(undefined) == 4


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two "layers" of one token set on disk, as probing's tests make them, and its probes."""
    world = World(tmp_path_factory.mktemp("world"))
    world.codes[:, 17] += 0.3 * (world.row_label == 1)
    return world, world.run("probed")


def produce(world, out, layers: int = 1, **settings):
    out.mkdir(exist_ok=True)
    raw, codes = ([world.folder / part] * layers for part in ("raw", "codes"))
    settings = SETTINGS | {"concepts": ["actor", "singer"], "top_k": [1, 5]} | settings
    evaluation.produce(settings, world.tokens, raw, codes, out)
    return metrics_of(out)


def test_circuit_accuracies_equal_probing_accuracies(folders, tmp_path):
    """Probing fits with sklearn: same latents, same penalty, hence the same accuracies."""
    world, probed = folders
    ours, theirs = produce(world, tmp_path), metrics_of(probed)
    for name in ("accuracy_top1", "accuracy_top5", "auroc_top5", "accuracy_top5/actor"):
        assert ours[name]["estimate"] == pytest.approx(theirs[name]["estimate"]), name
    assert ours["ceiling"]["estimate"] == theirs["accuracy_all"]["estimate"]
    assert ours["accuracy_raw"]["estimate"] == theirs["accuracy_raw"]["estimate"]
    units = reading.values_of(tmp_path, "gap_top5").unit_ids
    assert set(units) == set(reading.values_of(probed, "accuracy_all").unit_ids)


def test_every_metric_is_recomputed_from_its_table(folders, tmp_path):
    world, _ = folders
    for name, metric in produce(world, tmp_path, layers=2, headline_k=1).items():
        values = reading.values_of(tmp_path, name)
        assert values.estimate() == pytest.approx(metric["estimate"], abs=1e-6)
        assert len(values) == metric["n"]
    draws = pq.read_table(tmp_path / "draws.parquet").to_pandas()
    mean = draws[(draws["null"] == "live") & (draws["size"] == 5)]["accuracy"].mean()
    assert mean == pytest.approx(metrics_of(tmp_path)["random_top5"]["estimate"])


def test_equal_inputs_give_equal_bytes_and_concepts_are_independent(folders, tmp_path):
    world, _ = folders
    both = produce(world, tmp_path / "first")
    produce(world, tmp_path / "second")
    assert folder_digest(tmp_path / "first") == folder_digest(tmp_path / "second")
    alone = produce(world, tmp_path / "alone", concepts=["singer"])
    assert alone["gap_top5/singer"]["estimate"] == both["gap_top5/singer"]["estimate"]
    assert produce(world, tmp_path / "seed", seed=1)["random_top5"] != both["random_top5"]
