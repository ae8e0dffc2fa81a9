"""Probing on planted signals: recovery, chance without a signal, and no use of test labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from latent_ledger.evaluations.probing import evaluation as probing
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json, write_json
from latent_ledger.models.shards import write_shard
from latent_ledger.statistics import reading, resampling
from latent_ledger.statistics.probes import auroc_components, fit_probe, select_latents
from tests.tiny_models import example_tokens, folder_digest

TRAIN, TEST, WIDTH, D = 120, 80, 40, 6
CONCEPTS = ("actor", "singer")
SETTINGS = {"concepts": list(CONCEPTS), "top_k": [1, 2, 5], "resamples": 300, "seed": 0}


class World:
    """Labelled examples with random codes and activations, into which tests plant a truth.

    `codes` [rows, WIDTH] and `raw` [rows, D] have one row per position, BOS included; `row_label`
    is -1 for BOS; `row_train` says whether a row's example is of the training split.
    """

    def __init__(self, folder: Path, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        folder.mkdir(exist_ok=True)
        self.folder, self.n = folder, len(CONCEPTS) * (TRAIN + TEST)
        lengths = rng.integers(4, 13, self.n)
        self.tokens = example_tokens(folder / "tokens", lengths=lengths, seed=seed)
        self.concept = np.repeat(CONCEPTS, TRAIN + TEST)
        self.label = np.arange(self.n) % 2
        self.train = np.arange(self.n) % (TRAIN + TEST) < TRAIN
        self.contexts = np.repeat(np.arange(self.n), lengths)
        self.positions = np.concatenate([np.arange(length) for length in lengths])
        self.row_label = np.where(self.positions == 0, -1, self.label[self.contexts])
        self.row_train = self.train[self.contexts]
        self.codes = rng.random((len(self.contexts), WIDTH)) * (rng.random(WIDTH) < 0.5)
        self.codes[self.codes < 0.5] = 0.0
        self.raw = rng.normal(5.0, 1.0, (len(self.contexts), D)).astype(np.float32)

    def run(self, name: str = "out", with_codes: bool = True, **settings) -> Path:
        """Save, probe, and return the evaluation's folder."""
        table = {
            "doc_id": np.arange(self.n),
            "concept": self.concept,
            "label": self.label.astype(np.int8),
            "split": np.where(self.train, "train", "test"),
        }
        pq.write_table(pa.table(table), self.tokens / "documents.parquet")
        raw, codes, out = (self.folder / part for part in ("raw", "codes", name))
        for part in (raw, codes, out):
            part.mkdir(exist_ok=True)
        bounds = [0, 700, len(self.contexts)]  # two shards
        for shard, (low, high) in enumerate(zip(bounds, bounds[1:], strict=False)):
            columns = {
                "activations": torch.from_numpy(self.raw[low:high]),
                "token_ids": torch.zeros(high - low, dtype=torch.int32),
                "positions": torch.from_numpy(self.positions[low:high].astype(np.int32)),
                "doc_ids": torch.from_numpy(self.contexts[low:high].astype(np.int32)),
                "contexts": torch.from_numpy(self.contexts[low:high].astype(np.int32)),
            }
            write_shard(raw / f"acts-{shard:05d}.safetensors", columns)
            part = csr_matrix(self.codes[low:high].astype(np.float32))
            arrays = {"indptr": part.indptr.astype(np.int64), "indices": part.indices}
            save_file(arrays | {"values": part.data}, codes / f"codes-{shard:05d}.safetensors")
        shards = [int(size) for size in np.diff(bounds)]
        write_json(
            raw / "meta.json", {"hook_point": "layers.1.resid_post", "d": D, "shards": shards}
        )
        write_json(codes / "meta.json", {"width": WIDTH, "n_rows": sum(shards), "shards": shards})
        probing.produce(
            SETTINGS | settings, self.tokens, raw, codes if with_codes else None, out=out
        )
        return out


def metrics_of(out: Path) -> dict[str, dict]:
    return {metric["name"]: metric for metric in read_json(out / "metrics.json")["metrics"]}


def selected_latents(out: Path, concept: str) -> list[int]:
    rows = pq.read_table(out / "latents.parquet").to_pylist()
    return [row["latent"] for row in rows if row["concept"] == concept]


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)


def test_latent_that_is_the_label_ranks_first(world):
    world.codes[:, 17] = world.row_label == 1
    out = world.run()
    metrics = metrics_of(out)
    assert selected_latents(out, "actor")[0] == selected_latents(out, "singer")[0] == 17
    for name in ("accuracy_top1", "accuracy_top5", "accuracy_all", "auroc_top1", "auroc_all"):
        assert metrics[name]["estimate"] > 0.97, name
    assert metrics["accuracy_raw"]["ci"][0] < 0.5 < metrics["accuracy_raw"]["ci"][1]
    assert metrics["gap_raw_all"]["ci"][0] > 0.3
    assert metrics["gap_bag_all/actor"]["ci"][0] > 0.3


def test_random_labels_stay_at_chance(world):
    metrics = metrics_of(world.run())
    for name in ("top1", "top2", "top5", "all", "raw", "bag_of_tokens"):
        low, high = metrics[f"accuracy_{name}"]["ci"]
        assert low <= 0.5 <= high, name
        low, high = metrics[f"auroc_{name}"]["ci"]
        assert low <= 0.5 <= high, name
    low, high = metrics["gap_raw_all"]["ci"]
    assert low <= 0 <= high


def test_selection_sees_the_training_split_only(world):
    """A latent that gives the label away on the test split alone must not be chosen."""
    world.codes[:, 17] = (world.row_label == 1) & ~world.row_train
    out = world.run()
    assert 17 not in selected_latents(out, "actor") + selected_latents(out, "singer")
    assert metrics_of(out)["accuracy_all"]["estimate"] < 0.65


def test_special_rows_do_not_enter_features(world):
    """What only the BOS row knows is no feature of the text."""
    bos = world.positions == 0
    world.codes[bos, 17] = world.label[world.contexts[bos]]
    world.raw[bos, 0] = 1000 * world.label[world.contexts[bos]]
    metrics = metrics_of(world.run())
    assert metrics["accuracy_top1"]["estimate"] < 0.65
    assert metrics["accuracy_raw"]["estimate"] < 0.65


def test_baselines_recover_planted_raw_and_token_signal(world):
    world.raw[:, 3] += 2.0 * (world.row_label == 1)
    tokens = load_file(world.tokens / "tokens.safetensors")
    tokens["input_ids"][world.label == 1, 1] = 7
    tokens["input_ids"][world.label == 0, 1] = 8
    save_file(tokens, world.tokens / "tokens.safetensors")
    metrics = metrics_of(world.run())
    assert metrics["accuracy_raw"]["estimate"] > 0.95
    assert metrics["accuracy_bag_of_tokens"]["estimate"] > 0.9
    assert metrics["gap_raw_all"]["ci"][1] < -0.2


def test_features_are_means_over_non_special_tokens(world):
    world.run()
    features = probing.pooled_features(world.tokens, world.folder / "raw", world.folder / "codes")
    members = (world.contexts == 5) & (world.positions > 0)
    codes = features["codes"][5].toarray()[0]
    np.testing.assert_allclose(codes, world.codes[members].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(features["raw"][5], world.raw[members].mean(axis=0), rtol=1e-6)
    ids = load_file(world.tokens / "tokens.safetensors")["input_ids"][5][1 : members.sum() + 1]
    counts = np.bincount(ids, minlength=features["bag_of_tokens"].shape[1])
    np.testing.assert_array_equal(features["bag_of_tokens"][5].toarray()[0], counts)


def test_every_metric_is_recomputed_from_its_table(world):
    """The head-to-head reads only tables; it must arrive at the recorded numbers."""
    world.codes[:, 17] += 0.3 * (world.row_label == 1)
    out = world.run()
    metrics = metrics_of(out)
    for probe in ("top1", "top2", "top5", "all", "raw", "bag_of_tokens"):
        assert {f"accuracy_{probe}", f"auroc_{probe}", f"auroc_{probe}/actor"} <= set(metrics)
    for name, metric in metrics.items():
        values = reading.values_of(out, name)
        assert values.estimate() == pytest.approx(metric["estimate"])
        assert len(values) == metric["n"] == (TEST if "/" in name else 2 * TEST)
        assert metric["ci"][0] <= metric["estimate"] <= metric["ci"][1]
    assert set(reading.values_of(out, "accuracy_all").unit_ids) >= {"actor/120", "singer/320"}


def test_gap_equals_paired_contrast_of_two_probes(world):
    world.codes[:, 17] += 0.3 * (world.row_label == 1)
    out = world.run()
    gap = metrics_of(out)["gap_raw_all"]
    contrast = resampling.compare(
        reading.values_of(out, "accuracy_all"),
        reading.values_of(out, "accuracy_raw"),
        resamples=300,
        seed=0,
    )
    assert contrast.paired
    assert gap["estimate"] == pytest.approx(contrast.estimate)
    assert gap["ci"] == pytest.approx([contrast.low, contrast.high])


def test_overall_auroc_is_the_mean_over_concepts(world):
    """Scores of different probes have no common scale: shifting one concept's changes nothing."""
    world.codes[:, 17] += 0.2 * (world.row_label == 1)
    metrics = metrics_of(world.run())
    parts = [metrics[f"auroc_all/{concept}"]["estimate"] for concept in CONCEPTS]
    assert metrics["auroc_all"]["estimate"] == pytest.approx(np.mean(parts))


def test_auroc_components_have_delongs_mean_and_variance():
    rng = np.random.default_rng(0)
    labels = rng.random(300) < 0.3
    scores = np.round(rng.normal(labels, 1.0), 1)  # rounded, so that there are ties
    components = auroc_components(scores, labels)
    assert components.mean() == pytest.approx(roc_auc_score(labels, scores))
    positive, negative = scores[labels], scores[~labels]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    delong = wins.mean(1).var() / len(positive) + wins.mean(0).var() / len(negative)
    assert components.var() / len(components) == pytest.approx(delong)


def test_probing_without_codes_records_baselines_only(world):
    out = world.run(with_codes=False)
    assert {name.split("/")[0] for name in metrics_of(out)} == {
        f"{metric}_{probe}"
        for metric in ("accuracy", "auroc")
        for probe in ("raw", "bag_of_tokens")
    }


def test_equal_inputs_give_equal_bytes(world):
    first, second = world.run("first"), world.run("second")
    assert folder_digest(first) == folder_digest(second)


def test_select_latents_equals_hand_computation():
    codes = csr_matrix(np.array([[1.0, 0, 4, 0], [1, 2, 2, 0], [1, 0, 0, 3], [1, 0, 0, 1]]))
    order, differences = select_latents(codes, np.array([1, 1, 0, 0]))
    np.testing.assert_array_equal(order, [2, 3, 1, 0])
    np.testing.assert_allclose(differences, [3, -2, 1, 0])


def test_probe_on_constant_features_predicts_base_rate():
    train, test = np.ones((8, 2)), np.ones((3, 2))
    scores, _ = fit_probe(train, np.array([1, 1, 1, 1, 1, 1, 0, 0]), test, tune=True, seed=0)
    np.testing.assert_allclose(scores, np.log(3))


def test_probe_scores_do_not_depend_on_feature_scale():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    features = rng.normal(size=(60, 3)) + labels[:, None]
    scaled = features * [1.0, 1e4, 1e-4] + [0, 1e5, 3]
    plain, _ = fit_probe(features, labels, features, tune=True, seed=0)
    other, _ = fit_probe(scaled, labels, scaled, tune=True, seed=0)
    np.testing.assert_allclose(plain, other, rtol=1e-3, atol=1e-4)


def test_concept_without_one_class_raises_error(world):
    world.label[(world.concept == "singer") & ~world.train] = 0
    with pytest.raises(LedgerError, match="'singer' has 0 positive and 80 negative test"):
        world.run()


def test_codes_of_other_texts_are_refused(world):
    world.run()
    other = World(world.folder / "other", seed=1)
    other.run()
    with pytest.raises(LedgerError, match="belong to different texts"):
        probing.pooled_features(world.tokens, world.folder / "raw", other.folder / "codes")
