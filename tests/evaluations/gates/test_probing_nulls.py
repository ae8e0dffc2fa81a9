"""The gate of probing metrics: shuffled probes are at chance, and every leak is caught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from latent_ledger.evaluations.gates import probing_nulls
from latent_ledger.evaluations.probing import evaluation as probing
from latent_ledger.lib.errors import GateError
from latent_ledger.lib.files import read_json, write_json
from latent_ledger.models.shards import write_shard
from latent_ledger.statistics.probes import auroc_components, select_latents
from tests.tiny_models import example_tokens, folder_digest

TRAIN, TEST, D = 100, 200, 32
CONCEPTS = ("actor", "singer")
SETTINGS = {"concepts": list(CONCEPTS), "top_k": [1, 5], "examples": 40, "shuffles": 1, "seed": 0}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> tuple[Path, Path]:
    """Examples of two tokens behind BOS; channel 0 is the label, the others are noise."""
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(0)
    n = len(CONCEPTS) * (TRAIN + TEST)
    label = np.arange(n) % 2
    tokens = example_tokens(folder / "tokens", lengths=np.full(n, 3), seed=0)
    table = {
        "doc_id": np.arange(n),
        "concept": np.repeat(CONCEPTS, TRAIN + TEST),
        "label": label.astype(np.int8),
        "split": np.where(np.arange(n) % (TRAIN + TEST) < TRAIN, "train", "test"),
    }
    pq.write_table(pa.table(table), tokens / "documents.parquet")
    raw = rng.normal(size=(3 * n, D)).astype(np.float32)
    raw[:, 0] += 3 * np.repeat(label, 3)
    contexts = np.repeat(np.arange(n), 3).astype(np.int32)
    columns = {
        "activations": torch.from_numpy(raw),
        "token_ids": torch.zeros(3 * n, dtype=torch.int32),
        "positions": torch.arange(3, dtype=torch.int32).repeat(n),
        "doc_ids": torch.from_numpy(contexts),
        "contexts": torch.from_numpy(contexts.copy()),
    }
    (folder / "raw").mkdir()
    write_shard(folder / "raw" / "acts-00000.safetensors", columns)
    meta = {"hook_point": "layers.1.resid_post", "d": D, "shards": [3 * n]}
    write_json(folder / "raw" / "meta.json", meta)
    return tokens, folder / "raw"


def run(world, out: Path, **settings) -> dict:
    out.mkdir()
    return probing_nulls.produce(SETTINGS | settings, *world, out)


def test_shuffled_separable_data_is_at_chance(world, tmp_path):
    facts = run(world, tmp_path / "out")
    assert facts["true_auroc"] > 0.98, "there is something to be shuffled away"
    assert facts["largest_deviation"] < facts["bound"] < 0.21
    assert (facts["checks"], facts["shuffles"], facts["false_alarm"]) == (8, 4, 1e-6)
    record = read_json(tmp_path / "out" / "metrics.json")
    metrics = {metric["name"]: metric for metric in record["metrics"]}
    for name in ("top1", "top5", "all", "raw"):
        for sort in ("labels", "latents"):
            metric = metrics[f"auroc_shuffled_{sort}/{name}"]
            low, high = metric["ci"]
            assert low < 0.5 < high and metric["n"] == 2
    table = pq.read_table(tmp_path / "out" / "shuffles.parquet").to_pylist()
    assert len(table) == 2 * 4 * 2 and {row["pairs"] for row in table} == {TEST // 2}
    mean = np.mean([r["auroc"] for r in table if (r["probe"], r["shuffled"]) == ("all", "labels")])
    assert mean == pytest.approx(metrics["auroc_shuffled_labels/all"]["estimate"])
    run(world, tmp_path / "again")
    assert folder_digest(tmp_path / "again") == folder_digest(tmp_path / "out")


def leaking(leak):
    """probe_concept with training data changed by `leak(task, features, top_k)`."""
    right = probing.probe_concept

    def probe(task, features, top_k, seed):
        return right(*leak(task, features, top_k), top_k, seed)

    return probe


def test_training_on_test_examples_is_caught(world, tmp_path, monkeypatch):
    def leak(task, features, top_k):
        both = np.concatenate([task.train, task.test])
        labels = np.concatenate([task.train_labels, task.test_labels])
        return replace(task, train=both, train_labels=labels), features

    monkeypatch.setattr(probing, "probe_concept", leaking(leak))
    with pytest.raises(GateError, match=r"^metric nulls, auroc_shuffled_\w+/\w+ is 0") as error:
        run(world, tmp_path / "out")
    assert "must be 0.5 (within" in str(error.value) and "sees test labels" in str(error.value)


def test_selecting_latents_on_test_examples_is_caught(world, tmp_path, monkeypatch):
    """The leak of the reference ledger's circuits: features ranked before the split."""

    def leak(task, features, top_k):
        codes, labels = features["codes"], np.concatenate([task.train_labels, task.test_labels])
        best, _ = select_latents(codes[np.concatenate([task.train, task.test])], labels)
        return task, {**features, "codes": codes[:, best[: max(top_k)]]}

    monkeypatch.setattr(probing, "probe_concept", leaking(leak))
    with pytest.raises(GateError, match=r"^metric nulls, auroc_shuffled_l"):
        run(world, tmp_path / "out", concepts=["actor"], shuffles=8)


def test_a_label_among_the_features_is_caught(world, tmp_path, monkeypatch):
    def leak(task, features, top_k):
        raw = features["raw"].copy()
        raw[task.train, 0], raw[task.test, 0] = task.train_labels, task.test_labels
        return task, {**features, "raw": raw}

    monkeypatch.setattr(probing, "probe_concept", leaking(leak))
    with pytest.raises(GateError, match="^metric nulls, auroc_shuffled_labels/raw is"):
        run(world, tmp_path / "out")


@pytest.mark.parametrize("ties", [False, True])
def test_bound_is_exceeded_at_most_at_the_false_alarm_rate(ties, monkeypatch):
    """At a false-alarm rate of 0.1, at most a tenth of permutations exceed it (n = 6 + 14)."""
    monkeypatch.setattr(probing_nulls, "FALSE_ALARM", 0.1)
    rng = np.random.default_rng(0)
    labels = np.arange(20) < 6
    scores = rng.integers(3, size=20) if ties else rng.normal(size=20)
    allowed = probing_nulls.bound([6, 6], checks=1)
    means = [
        np.mean([auroc_components(scores, rng.permutation(labels)).mean() for _ in range(2)])
        for _ in range(400)
    ]
    deviations = np.abs(np.array(means) - 0.5)
    assert (deviations >= allowed).mean() <= 0.1
    assert deviations.max() > allowed / 2, "and it is not idle"


def test_bound_equals_hand_computed_value():
    """Four permutations of 25 pairs, one check: sqrt(ln(2e6) * 0.16 / 2) / 4."""
    assert probing_nulls.bound([25] * 4, checks=1) == pytest.approx(
        np.sqrt(np.log(2e6) * 0.16 / 2) / 4
    )
