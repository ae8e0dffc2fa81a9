"""sae_probes: texts unseen in training, its own code unchanged, and planted labels."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from sae_probes import utils_data
from sae_probes.run_sae_evals import get_save_metrics_path, run_sae_eval

from latent_ledger.evaluations.sae_probes import baselines, probes, texts, upstream
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json, write_json
from latent_ledger.models.shards import write_shard
from latent_ledger.statistics import reading
from latent_ledger.text.corpora import embedded
from tests.tiny_models import folder_digest

TAP = "layers.1.resid_post"
SETS = [f"{number}_planted" for number in range(1, 5)]
SIZE, D = 240, 6
DRAW = {"datasets": ["95_toxic_is", "96_spam_is"], "examples": 120, "seed": 0}
PROBES = {"top_k": [1], "penalty": "l1", "seeds": [0, 1, 2], "resamples": 300, "seed": 0}


class Relu:
    """A SAELens-like coder whose latents are the positive dimensions."""

    device = "cpu"

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """relu(x)."""
        return torch.relu(x)


# -- texts ----------------------------------------------------------------------------------------


def corpus_part(folder, documents):
    folder.mkdir()
    columns = {"doc_id": range(len(documents)), "text": documents}
    pq.write_table(pa.table(columns), folder / "documents.parquet")
    return folder


def draw(folder, trained_on=(), **settings):
    folder.mkdir()
    facts = texts.produce(DRAW | settings, trained_on, folder)
    return pq.read_table(folder / "examples.parquet").to_pandas(), facts


def test_labels_are_sae_probes_own_and_balanced(tmp_path):
    table, _ = draw(tmp_path / "draw")
    for name in DRAW["datasets"]:
        drawn = table[table["concept"] == name]
        assert drawn["label"].value_counts().to_dict() == {0: 60, 1: 60}
        frame = utils_data.read_numbered_dataset_df(name)
        theirs = dict(zip(frame["prompt"], utils_data.get_yvals(name), strict=True))
        assert [theirs[text] for text in drawn["text"]] == drawn["label"].tolist()
    assert table["example_id"].tolist() == list(range(240))


def test_texts_seen_in_training_whole_or_in_part_are_dropped(tmp_path):
    table, _ = draw(tmp_path / "before")
    short, long = (
        next(text for text in table["text"] if fits(len(text.encode())))
        for fits in (lambda size: size < 64, lambda size: size > 200)
    )
    part = corpus_part(tmp_path / "corpus", ["Of no concern.", short, f"Quoted: {long[20:150]}!"])
    after, facts = draw(tmp_path / "after", [part])
    assert not {short, long} & set(after["text"])
    kept = set(table["text"]) & set(after["text"])
    assert len(kept) >= 236 and facts["dropped_as_seen"] >= 2
    everything = [text for number in (95, 96) for text, _ in embedded.read_set(number)]
    with pytest.raises(LedgerError, match="95_toxic_is has 0 texts of a label that nothing here"):
        draw(tmp_path / "none", [corpus_part(tmp_path / "all", everything)])


def test_draw_depends_only_on_the_seed(tmp_path):
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        draw(tmp_path / name, seed=seed)
    assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "same")
    assert folder_digest(tmp_path / "one") != folder_digest(tmp_path / "other")


def test_unknown_data_set_is_a_one_line_error():
    with pytest.raises(LedgerError, match="no set '95_toxic'"):
        texts.set_number("95_toxic")


# -- its own code, unchanged ----------------------------------------------------------------------


def test_replaced_csv_gives_the_same_numbers(tmp_path):
    """The whole of one set through our stand-in, and through sae_probes alone."""
    name = "95_toxic_is"
    labels = utils_data.get_yvals(name).astype(np.int64)
    rows = torch.randn(len(labels), D, generator=torch.Generator().manual_seed(0))
    rows[:, 2] += torch.from_numpy(labels)
    upstream.write_cache({name: labels}, rows, TAP, tmp_path / "cache")
    settings = PROBES | {"top_k": [1, 3]}
    ours = dict(probes.fit(Relu(), name, {name: labels}, TAP, 7, tmp_path / "cache", settings))
    where = {"dataset": name, "hook_name": TAP, "reg_type": "l1", "setting": "normal"}
    run_sae_eval(
        Relu(),
        model_name=upstream.MODEL,
        model_cache_path=tmp_path / "cache",
        device="cpu",
        ks=[1, 3],
        results_path=tmp_path,
        seed=7,
        **where,
    )
    path = get_save_metrics_path(model_name=upstream.MODEL, sae_results_path=tmp_path, **where)
    theirs = {row["k"]: row["test_auc"] for row in json.loads(path.read_text())}
    assert {k: result["auroc"] for k, result in ours.items()} == theirs
    assert ours[1]["latent"] == 2


def test_sae_probes_is_restored_after_the_context():
    before = utils_data.get_dataset_sizes()["95_toxic_is"]
    with pytest.raises(ZeroDivisionError), upstream.data_sets({"95_toxic_is": np.zeros(4)}):
        assert utils_data.get_dataset_sizes()["95_toxic_is"] == 4
        assert len(utils_data.get_yvals("95_toxic_is")) == 4
        raise ZeroDivisionError
    assert utils_data.get_dataset_sizes()["95_toxic_is"] == before
    assert len(utils_data.get_yvals("95_toxic_is")) == before


# -- planted truth --------------------------------------------------------------------------------


class World:
    """Four data sets of random activations at several positions; only the last one counts."""

    def __init__(self, folder) -> None:
        rng = np.random.default_rng(0)
        self.folder, count = folder, SIZE * len(SETS)
        self.labels = np.tile(np.arange(SIZE) % 2, len(SETS))
        self.lengths = rng.integers(3, 9, count)
        self.contexts = np.repeat(np.arange(count), self.lengths)
        self.values = rng.normal(0, 1, (len(self.contexts), D)).astype(np.float32)
        self.last = np.cumsum(self.lengths) - 1

    def save(self):
        tokens, raw = (self.folder / part for part in ("tokens", "raw"))
        for part in (tokens, raw):
            part.mkdir()
        table = {"doc_id": np.arange(len(self.labels)), "concept": np.repeat(SETS, SIZE)}
        pq.write_table(pa.table(table | {"label": self.labels}), tokens / "documents.parquet")
        starts = np.concatenate([np.arange(length) for length in self.lengths]).astype(np.int32)
        cuts = [0, 1001, len(self.contexts)]  # the first shard ends inside a text
        for number, (low, high) in enumerate(zip(cuts, cuts[1:], strict=False)):
            columns = {
                "activations": torch.from_numpy(self.values[low:high]),
                "token_ids": torch.zeros(high - low, dtype=torch.int32),
                "positions": torch.from_numpy(starts[low:high]),
                "doc_ids": torch.from_numpy(self.contexts[low:high].astype(np.int32)),
                "contexts": torch.from_numpy(self.contexts[low:high].astype(np.int32)),
            }
            write_shard(raw / f"acts-{number:05d}.safetensors", columns)
        shards = np.diff(cuts).tolist()
        write_json(raw / "meta.json", {"hook_point": TAP, "d": D, "shards": shards})
        return tokens, raw

    def run(self):
        """The metrics by name, and the folder of the evaluation."""
        tokens, raw = self.save()
        base, out = self.folder / "baseline", self.folder / "out"
        base.mkdir()
        out.mkdir()
        baselines.produce({"seeds": PROBES["seeds"]}, tokens, raw, base)
        probes.produce(PROBES, Relu(), tokens, base, TAP, out)
        return {m["name"]: m for m in read_json(out / "metrics.json")["metrics"]}, out


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Latent 3 is the label."""
    world = World(tmp_path_factory.mktemp("planted"))
    world.values[world.last, 3] = 3.0 * world.labels
    return world.run()


@pytest.fixture(scope="module")
def null(tmp_path_factory):
    """Random labels."""
    return World(tmp_path_factory.mktemp("null")).run()


def test_latent_equal_to_the_label_is_selected_first(planted):
    metrics, out = planted
    assert metrics["auroc_k1"]["estimate"] > 0.99
    assert (metrics["auroc_k1"]["unit"], metrics["auroc_k1"]["n"]) == ("dataset", len(SETS))
    runs = pq.read_table(out / "runs.parquet").to_pandas()
    assert (runs[runs["probe"] == "top1"]["latent"] == 3).all()
    assert len(runs) == 2 * len(SETS) * 3  # one row per data set, seed and probe
    assert metrics["auroc_raw"]["estimate"] > 0.99


def test_random_labels_stay_at_chance(null):
    metrics, out = null
    for name in ("auroc_k1", "auroc_raw"):
        low, high = metrics[name]["ci"]
        assert low <= 0.5 <= high, (name, low, high)
    assert metrics["gap_raw_k1"]["ci"][0] <= 0 <= metrics["gap_raw_k1"]["ci"][1]
    assert 0 < metrics["seed_sd_k1"]["estimate"] < 0.1
    # The table carries the number: mean over seeds, then over data sets.
    runs = pq.read_table(out / "runs.parquet").to_pandas()
    means = runs[runs["probe"] == "top1"].groupby("dataset")["auroc"].mean()
    assert metrics["auroc_k1"]["estimate"] == pytest.approx(means.mean())


def test_direction_without_a_latent_favours_the_raw_probe(tmp_path):
    world = World(tmp_path)
    world.values[world.last] = np.random.default_rng(1).normal(0, 1, (len(world.last), D))
    sign = 2.0 * world.labels - 1
    world.values[world.last, :2] -= 4.0  # never active: relu loses what a probe on raw sees
    world.values[world.last, 0] += 2.0 * sign
    metrics, _ = world.run()
    assert metrics["gap_raw_k1"]["ci"][1] < -0.2
    assert metrics["win_rate_k1"]["estimate"] == 0.0


def test_last_token_of_an_example_across_shards_is_its_last_row(tmp_path):
    world = World(tmp_path)
    tokens, raw = world.save()
    rows = upstream.last_tokens(raw, len(world.labels))
    np.testing.assert_array_equal(rows.numpy(), world.values[world.last])
    upstream.write_cache(upstream.read_labels(tokens), rows, TAP, tmp_path)
    cached = torch.load(tmp_path / f"model_activations_{upstream.MODEL}" / f"{SETS[1]}_{TAP}.pt")
    np.testing.assert_array_equal(cached.numpy(), world.values[world.last][SIZE : 2 * SIZE])
    with pytest.raises(LedgerError, match="holds 960 examples, the token set 959"):
        upstream.last_tokens(raw, len(world.labels) - 1)


def test_coders_are_paired_by_data_set(planted, null):
    left, right = (reading.values_of(folder, "auroc_k1") for _, folder in (planted, null))
    assert left.unit_ids.tolist() == right.unit_ids.tolist() == SETS
