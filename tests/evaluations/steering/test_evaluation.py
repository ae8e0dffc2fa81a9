"""Steering on a model whose directions are known: effects, fluency, reported half and bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file

from latent_ledger.coders.formats.site_file import write_site
from latent_ledger.evaluations.steering import evaluation as steering
from latent_ledger.evaluations.steering.outcomes import CONTRASTS
from latent_ledger.ledger.verdicts import verdict
from latent_ledger.lib.errors import GateError, LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.models.hook_points import CoderSite
from latent_ledger.statistics import reading
from latent_ledger.text.tokenizer import load_tokenizer
from tests.evaluations.steering import planted
from tests.evaluations.steering.planted import World
from tests.tiny_models import folder_digest


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    return World(tmp_path_factory.mktemp("steering"))


@pytest.fixture(scope="module")
def output_hook(world) -> Path:
    """The evaluation of a coder whose latent writes the concept."""
    return world.steer(world.coder("output_hook", planted.WRITE))


@pytest.fixture(scope="module")
def void(world) -> Path:
    """The evaluation of a coder whose latent writes what the model does not see."""
    return world.steer(world.coder("void", planted.VOID))


@pytest.fixture(scope="module")
def breaks(world) -> Path:
    """The evaluation of a coder whose latent writes the concept in incredible tokens."""
    return world.steer(world.coder("breaks", -planted.RARE), coefficients=[1.0, 2.0])


def metrics_of(out: Path) -> dict[str, dict]:
    return {metric["name"]: metric for metric in read_json(out / "metrics.json")["metrics"]}


def facts_of(out: Path) -> dict:
    return read_json(out / "metrics.json")["facts"]["concepts"]["letters"]


def cell(out: Path, arm: str, coefficient: float) -> dict[str, list]:
    table = pq.read_table(out / "generations.parquet").to_pandas()
    return table[(table.arm == arm) & (table.coefficient == coefficient)].to_dict("list")


def label(metric: dict) -> str:
    return verdict(metric, null=0.0, alpha=0.05)


def test_latent_that_writes_concept_has_an_effect(output_hook):
    metrics = metrics_of(output_hook)
    assert facts_of(output_hook)["latent"] == 2
    assert metrics["success_latent"]["estimate"] > 0.9
    for name in ("effect_latent", "gap_random"):
        assert metrics[name]["ci"][0] > 0.1, name
        assert label(metrics[name]) == "novel"
    # MARK is what the means differ in, and the model never writes along it.
    assert facts_of(output_hook)["coefficients"]["dom"] > 0
    assert metrics["effect_dom"]["estimate"] == 0
    assert label(metrics["gap_dom"]) == "novel"


def test_random_directions_have_no_effect(output_hook):
    metrics = metrics_of(output_hook)
    assert facts_of(output_hook)["coefficients"]["random"] > 0
    low, high = metrics["effect_random"]["ci"]
    assert low <= 0 <= high
    assert label(metrics["effect_random"]) == "inconclusive"


def test_latent_that_model_ignores_is_inconclusive(void):
    metrics = metrics_of(void)
    assert facts_of(void)["coefficients"]["latent"] > 0
    assert metrics["effect_latent"]["estimate"] == 0
    assert metrics["effect_latent"]["p"] == 1
    for name in ("effect_latent", "gap_dom", "gap_random"):
        assert label(metrics[name]) == "inconclusive", name


def test_latent_that_breaks_fluency_is_inadmissible(breaks):
    """It would succeed at every text, but only in tokens the unsteered model finds incredible."""
    assert np.mean(cell(breaks, "latent", 1.0)["success"]) > 0.9
    facts, metrics = facts_of(breaks), metrics_of(breaks)
    assert facts["admissible"]["latent"] == []
    assert facts["coefficients"]["latent"] == 0
    assert metrics["effect_latent"]["estimate"] == 0
    assert metrics["success_latent"]["estimate"] == metrics["success_baseline"]["estimate"]
    assert metrics["perplexity_ratio_latent"]["estimate"] == 1


def test_latent_that_breaks_fluency_is_admissible_without_cap(world):
    settings = {"perplexity_cap": 1e9, "coefficients": [1.0, 2.0]}
    out = world.steer(world.folder / "breaks", "uncapped", **settings)
    assert metrics_of(out)["effect_latent"]["ci"][0] > 0.1


def test_direction_without_effect_gives_unsteered_texts(void):
    """Arms share their random numbers: only what the vector does can tell two texts apart."""
    unsteered = cell(void, "baseline", 0.0)
    for arm in ("latent", "dom"):
        assert cell(void, arm, 0.5)["text"] == unsteered["text"], arm
    assert len(set(unsteered["text"])) == len(unsteered["text"])
    assert cell(void, "random", 1.0)["text"] != unsteered["text"]


def test_baseline_texts_are_equal_for_two_coders(output_hook, void):
    for arm, coefficient in (("baseline", 0.0), ("dom", 1.0), ("random", 1.0)):
        assert cell(output_hook, arm, coefficient)["text"] == cell(void, arm, coefficient)["text"]


def test_prompt_scan_selects_success_nearest_one_half(world, output_hook):
    """Steered prompts are made by hand here: one writes the concept always, one never."""
    scan = pq.read_table(output_hook / "scan.parquet").to_pandas()
    success = scan.groupby("prompt", sort=False).success.mean()
    assert facts_of(output_hook)["prompt"] == (success - 0.5).abs().idxmin()

    judging = steering.judge.Judge(np.zeros(planted.D), 0.0)
    shares = {"a": 1.0, "b": 0.25, "c": 0.625, "d": 0.375}

    class Scripted:
        settings = {"prompts": list(shares), "scan": 16, "seed": 0}
        tokenizer = load_tokenizer(world.model)

        def prompt(self, text):
            return text

        def texts(self, prompt, vectors, *purpose):
            assert not vectors.any()
            assert purpose == (0, "scan", "letters")
            wins = np.arange(16) < 16 * shares[prompt]
            judging.weights[0] = 1.0
            features = np.zeros((1, 16, planted.D))
            features[0, :, 0] = np.where(wins, 1.0, -1.0)
            return np.full((1, 16, 3), 65), steering.generate.Reading(np.ones((1, 16)), features)

    rows, selected = steering.scan_prompts("letters", judging, Scripted())
    assert selected == "c"  # as near as "d", and earlier
    assert len(rows["success"]) == 64


def test_generations_table_holds_every_text(world, output_hook):
    table = pq.read_table(output_hook / "generations.parquet").to_pandas()
    n, arms = planted.SETTINGS["generations"], 1 + 3 * len(planted.SETTINGS["coefficients"])
    assert len(table) == n * arms
    assert set(table.half) == {"selection", "reported"}
    assert (table[table.half == "selection"]["index"] % 2 == 0).all()
    tokenizer = load_tokenizer(world.model)
    row = table.iloc[7]
    assert len(row.token_ids) == planted.SETTINGS["new_tokens"]
    assert row.text == tokenizer.decode(row.token_ids)
    assert (table.success == (table.judge_score > 0)).all()
    # Texts of the scan come from other random numbers.
    scan = pq.read_table(output_hook / "scan.parquet").to_pandas()
    assert not set(scan.text) & set(table.text)


def test_outcomes_table_holds_only_reported_half(output_hook):
    outcomes = pq.read_table(output_hook / "outcomes.parquet").to_pandas()
    assert (outcomes["index"] % 2 == 1).all()
    at = facts_of(output_hook)["coefficients"]
    for arm in ("latent", "dom", "random"):
        kept = cell(output_hook, arm, at[arm])["success"][1::2]
        np.testing.assert_array_equal(outcomes[f"success_{arm}"], kept)
    assert outcomes.unit_id.iloc[0] == "letters/1"


def test_every_metric_is_recomputed_from_its_table(output_hook):
    metrics = metrics_of(output_hook)
    assert {f"{name}{end}" for name in CONTRASTS for end in ("", "_bag", "/letters")} < set(metrics)
    judged = metrics.pop("judge_accuracy/letters")
    assert judged["ci"][0] < judged["estimate"] < judged["ci"][1]
    assert judged["n"] == 80
    for name, metric in metrics.items():
        values = reading.values_of(output_hook, name)
        assert values.estimate() == pytest.approx(metric["estimate"])
        assert metric["unit"] == "generation"
        assert metric["n"] == len(values) == planted.SETTINGS["generations"] // 2


def test_texts_do_not_depend_on_batch_and_bytes_are_equal(world, output_hook):
    assert folder_digest(world.steer(world.folder / "output_hook", "again")) == folder_digest(
        output_hook
    )
    other = world.steer(world.folder / "output_hook", "small", batch=21)
    for name in ("generations", "scan"):
        texts = [pq.read_table(out / f"{name}.parquet")["text"] for out in (output_hook, other)]
        assert texts[0] == texts[1]


def test_other_seed_gives_other_texts(world, output_hook):
    other = world.steer(world.folder / "output_hook", "reseeded", seed=1, generations=4)
    texts = [set(cell(out, "baseline", 0.0)["text"]) for out in (output_hook, other)]
    assert not texts[0] & texts[1]


def test_labels_of_test_split_change_only_judge_accuracy(world, output_hook, tmp_path):
    """Other labels on the test split change how good the judge looks, and nothing else."""
    table = pq.read_table(world.tokens / "documents.parquet").to_pandas()
    flipped = table.copy()
    test = flipped.split == "test"
    flipped.loc[test, "label"] = 1 - flipped.loc[test, "label"]
    path = world.tokens / "documents.parquet"
    flipped.to_parquet(path)
    try:
        out = world.steer(world.folder / "output_hook", "flipped")
    finally:
        table.to_parquet(path)
    for name in ("generations", "scan", "outcomes", "cells"):
        assert pq.read_table(out / f"{name}.parquet") == pq.read_table(
            output_hook / f"{name}.parquet"
        )
    right = facts_of(output_hook)["judge_accuracy"]
    assert right > 0.8
    assert facts_of(out)["judge_accuracy"] == pytest.approx(1 - right)


def test_prompt_longer_than_context_raises_error(world):
    with pytest.raises(LedgerError, match="'much too long' takes 14 tokens with BOS"):
        world.steer(world.folder / "output_hook", "long", prompts=["much too long"])


def test_activations_of_another_model_are_refused(world):
    hook_point = planted.JUDGED
    shard = world.activations[hook_point] / "acts-00000.safetensors"
    right = load_file(shard)
    save_file({**right, "activations": right["activations"].flip(0)}, shard)
    try:
        with pytest.raises(GateError, match=r"layers.1.resid_post differs"):
            world.steer(world.folder / "output_hook", "wrong")
    finally:
        save_file(right, shard)


def test_inputs_of_another_coder_are_refused(world, output_hook):
    elsewhere = world.coder("elsewhere", planted.WRITE)
    write_site(elsewhere, "sparsify", CoderSite.at(1, "resid_post"))
    shutil.copytree(world.folder / "codes-output_hook", world.folder / "codes-elsewhere")
    with pytest.raises(LedgerError, match=r"writes layers.1.resid_post"):
        world.steer(elsewhere)
