"""SAEBench's sparse probing: prefilled equals its own run, planted classes, masked tokens."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from latent_ledger.evaluations.saebench import artifacts, sparse_probing
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json
from tests.evaluations.saebench.folders import Identity, labelled, random_ids, split_rows
from tests.tiny_models import BOS, PAD, byte_tokenizer, folder_digest

NAMES = ["actor", "athlete", "singer"]
TRAIN, TEST = 24, 12
SETTINGS = {
    "dataset": "occupations",
    "concepts": NAMES,
    "train": 2 * TRAIN,
    "test": 2 * TEST,
    "top_k": [1, 2],
    "seed": 42,
}
SIZE = f"{2 * TRAIN}-{2 * TEST}"
PROBES = {
    "datasets": ["occupations"],
    "sizes": [SIZE],
    "top_k": [1, 2],
    "batch": 7,
    "resamples": 200,
    "seed": 42,
}


def world(folder, values=None, d=6, names=NAMES):
    """Tokens and activations of all classes; returns ids, values and the two folders."""
    ids = random_ids(len(names) * (TRAIN + TEST))
    if values is None:
        values = torch.randn(*ids.shape, d, generator=torch.Generator().manual_seed(1))
    return ids, values, *labelled(folder, ids, values, split_rows(names, TRAIN, TEST))


def prefill(tokens, raw, out, **settings):
    out.mkdir(parents=True)
    return artifacts.produce(SETTINGS | settings, tokens, raw, out)


def probed(folder, out, sae=None, sizes=None, **settings):
    out.mkdir()
    folders = {f"occupations/{size}": folder for size in sizes or [SIZE]}
    sparse_probing.produce(PROBES | settings, sae or Identity(), folders, out)
    return {metric["name"]: metric for metric in read_json(out / "metrics.json")["metrics"]}


def test_prefilled_probing_equals_sae_bench_running_the_model_itself(tmp_path, neox, monkeypatch):
    """Its own tokenisation, hooks and cache on TransformerLens, against ours, with one seed."""
    from sae_bench.evals.sparse_probing import main as upstream
    from sae_bench.evals.sparse_probing.eval_config import SparseProbingEvalConfig
    from transformer_lens.model_bridge import TransformerBridge

    from latent_ledger.models import hooks, language_model
    from latent_ledger.models.hook_points import HookPoint

    ids = random_ids(len(NAMES) * (TRAIN + TEST))
    rows = split_rows(NAMES, TRAIN, TEST)
    texts = [byte_tokenizer().decode(row[row < BOS]) for row in ids]

    hook_point = HookPoint.parse("layers.1.resid_post")
    values = hooks.read(language_model.load_model(neox), ids, [hook_point])[hook_point]
    tokens, raw = labelled(tmp_path, ids, values, rows)
    meta = prefill(tokens, raw, tmp_path / "ours")

    def their_texts(*_):
        return [{n: [texts[row] for row in rows[n][part]] for n in NAMES} for part in (0, 1)]

    name = meta["name"]
    monkeypatch.setattr(upstream.dataset_utils, "get_multi_label_train_test_data", their_texts)
    monkeypatch.setitem(upstream.dataset_info.chosen_classes_per_dataset, name, NAMES)
    config = SparseProbingEvalConfig(
        random_seed=42,
        dataset_names=[name],
        context_length=ids.shape[1],
        sae_batch_size=7,
        llm_batch_size=16,
        k_values=[1, 2],
    )
    bridge = TransformerBridge.boot_transformers(str(neox), dtype=torch.float32, device="cpu")
    assert bridge.tokenizer(texts[0])["input_ids"] == ids[0][ids[0] != PAD].tolist()
    theirs = tmp_path / "theirs"
    theirs.mkdir()

    def their_run():
        artifacts.seed_generators(42)
        return upstream.run_eval_single_dataset(
            name,
            config,
            Identity(),
            bridge,
            1,
            "blocks.1.hook_resid_post",
            "cpu",
            str(theirs),
            True,
        )[1]

    with artifacts.quiet():
        uncached, cached = their_run(), their_run()
    written = [
        torch.load(folder / artifacts.file_name(name)) for folder in (tmp_path / "ours", theirs)
    ]
    for split in ("train", "test"):
        for label in NAMES:
            torch.testing.assert_close(
                *(acts[split][label] for acts in written), rtol=1e-5, atol=1e-5
            )
    assert meta["baselines"] == written[1]["llm_results"]
    ours = sparse_probing.probe(PROBES, Identity(), meta, tmp_path / "ours")
    assert ours == cached
    # The reason for an artifact job of its own: upstream's first run is another draw.
    assert uncached != cached


def test_dimension_equal_to_the_class_is_selected_first(tmp_path):
    ids, values, tokens, raw = world(tmp_path / "none")
    for number in range(len(NAMES)):
        start = number * (TRAIN + TEST)
        values[start : start + TRAIN + TEST, :, number] += 4.0
    tokens, raw = labelled(tmp_path / "planted", ids, values, split_rows(NAMES, TRAIN, TEST))
    prefill(tokens, raw, tmp_path / "artifact")
    metrics = probed(tmp_path / "artifact", tmp_path / "out")
    assert metrics["top_1"]["estimate"] > 0.95
    assert (metrics["top_1"]["unit"], metrics["top_1"]["n"]) == ("concept", 3)
    assert metrics["top_1"]["ci"][0] > 0.9


def test_random_latents_stay_at_chance_and_close_no_gap(tmp_path):
    names = [f"class {number}" for number in range(6)]
    _, _, tokens, raw = world(tmp_path, d=40, names=names)
    prefill(tokens, raw, tmp_path / "artifact", concepts=names)
    metrics = probed(tmp_path / "artifact", tmp_path / "out")
    for name, null in (("top_1", 0.5), ("gap_1", 0.0)):
        low, high = metrics[name]["ci"]
        assert low <= null <= high, name


def test_artifact_equals_the_capture_with_zero_special_tokens(tmp_path):
    ids, values, tokens, raw = world(tmp_path)
    meta = prefill(tokens, raw, tmp_path / "artifact")
    acts = torch.load(tmp_path / "artifact" / artifacts.file_name(meta["name"]))
    rows = split_rows(NAMES, TRAIN, TEST)["athlete"][1]
    expected = values[rows] * (ids[rows] < BOS)[..., None]
    torch.testing.assert_close(acts["test"]["athlete"], expected, rtol=0, atol=0)
    assert meta["name"] == f"occupations_float32_ctx12_seed42_{SIZE}"


def test_text_of_two_classes_is_left_out(tmp_path):
    ids, values, tokens, raw = world(tmp_path)
    table = pq.read_table(tokens / "documents.parquet").to_pandas()
    first = table["doc_id"] == 0
    table.loc[first, "sha256"] = table.loc[table["concept"] == "singer", "sha256"].iloc[0]
    table.to_parquet(tokens / "documents.parquet")
    texts = artifacts.class_texts(tokens, SETTINGS | {"train": 2 * TRAIN - 2})
    assert texts["train"]["actor"].tolist() == list(range(1, TRAIN))
    with pytest.raises(LedgerError, match="48 train examples per probe take 24 texts of 'actor'"):
        artifacts.class_texts(tokens, SETTINGS)


def test_equal_inputs_give_equal_bytes(tmp_path):
    _, _, tokens, raw = world(tmp_path)
    for name in ("one", "two"):
        prefill(tokens, raw, tmp_path / name)
        probed(tmp_path / name, tmp_path / f"{name}-out")
    assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")
    assert folder_digest(tmp_path / "one-out") == folder_digest(tmp_path / "two-out")


def test_batch_size_changes_no_accuracy(tmp_path):
    _, _, tokens, raw = world(tmp_path)
    prefill(tokens, raw, tmp_path / "artifact")
    metrics = [
        probed(tmp_path / "artifact", tmp_path / str(batch), batch=batch)
        for batch in (1, 7, 10_000)
    ]
    assert metrics[0] == metrics[1] == metrics[2]


def test_sizes_have_own_metrics_and_few_classes_no_interval(tmp_path):
    _, _, tokens, raw = world(tmp_path, names=NAMES[:2])
    few = {"concepts": NAMES[:2]}
    prefill(tokens, raw, tmp_path / "a", **few)
    prefill(tokens, raw, tmp_path / "b", train=TRAIN, test=TEST, **few)
    small = f"{TRAIN}-{TEST}"
    (tmp_path / "out").mkdir()
    folders = {f"occupations/{SIZE}": tmp_path / "a", f"occupations/{small}": tmp_path / "b"}
    settings = PROBES | {"sizes": [SIZE, small]}
    facts = sparse_probing.produce(settings, Identity(), folders, tmp_path / "out")
    metrics = {m["name"]: m for m in read_json(tmp_path / "out" / "metrics.json")["metrics"]}
    assert {"top_1", f"top_1/{small}", "llm_top_2", f"gap_2/{small}"} <= set(metrics)
    assert metrics["top_1"]["ci"] is None and metrics["top_1"]["n"] == 2
    sizes = {SIZE: {"train": 24, "test": 12}, small: {"train": 12, "test": 6}}
    assert facts["texts"] == {"occupations": sizes}
    table = pq.read_table(tmp_path / "out" / "classes.parquet").to_pandas()
    mean = table[table["size"] == small]["top_1"].mean()
    assert metrics[f"top_1/{small}"]["estimate"] == pytest.approx(mean)
    np.testing.assert_allclose(table["gap_1"], table["top_1"] - table["llm_top_1"])


def test_several_data_sets_are_the_units_and_keep_their_means(tmp_path):
    _, _, tokens, raw = world(tmp_path)
    names, folders = ["ag_news", "europarl", "github-code"], {}
    for seed, name in enumerate(names):
        prefill(tokens, raw, tmp_path / name, dataset=name, seed=seed)
        folders[f"{name}/{SIZE}"] = tmp_path / name
    (tmp_path / "out").mkdir()
    settings = PROBES | {"datasets": names}
    facts = sparse_probing.produce(settings, Identity(), folders, tmp_path / "out")
    metrics = {m["name"]: m for m in read_json(tmp_path / "out" / "metrics.json")["metrics"]}
    each = [metrics[f"top_1/{name}"]["estimate"] for name in names]
    assert metrics["top_1"]["estimate"] == pytest.approx(np.mean(each))
    assert (metrics["top_1"]["unit"], metrics["top_1"]["n"]) == ("data set", 3)
    assert metrics["top_1"]["ci"][0] >= min(each) - 1e-9
    assert metrics["top_1/europarl"]["unit"] == "concept" and f"top_1/{SIZE}" not in metrics
    assert facts["classes"] == dict.fromkeys(names, NAMES)


def test_a_drawn_data_set_is_taken_in_the_order_of_its_draw(tmp_path):
    table = pa.table(
        {
            "doc_id": [0, 1, 2, 3, 4, 5],
            "concept": ["b", "b", "a", "b", "a", "b"],
            "split": ["train", "train", "train", "test", "test", "train"],
            artifacts.order_column("8-4"): [1, 0, 0, 0, 0, 2],
            artifacts.order_column("4-4"): [-1, 0, 0, 0, 0, 1],
        }
    )
    pq.write_table(table, tmp_path / "documents.parquet")
    texts = artifacts.class_texts(tmp_path, {"train": 8, "test": 4, "concepts": None})
    assert {name: rows.tolist() for name, rows in texts["train"].items()} == {
        "b": [1, 0, 5],
        "a": [2],
    }
    texts = artifacts.class_texts(tmp_path, {"train": 4, "test": 4, "concepts": None})
    assert texts["train"]["b"].tolist() == [1, 5] and texts["test"]["b"].tolist() == [3]
