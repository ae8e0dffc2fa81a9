"""The gate of reconstruction metrics, and known wrong metrics that do not pass it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from latent_ledger.evaluations.gates import reconstruction_nulls
from latent_ledger.evaluations.reconstruction import evaluation as reconstruction
from latent_ledger.lib.errors import GateError
from latent_ledger.lib.files import read_json, write_json
from latent_ledger.models.shards import write_shard
from latent_ledger.statistics import metrics
from tests.tiny_models import folder_digest

CONTEXTS, CONTEXT, D = 12, 16, 6
SETTINGS = {"resamples": 50, "seed": 0}


@pytest.fixture
def world(tmp_path) -> tuple[Path, Path]:
    """Tokens and activations far from zero, BOS a hundred times the others, in two shards."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(CONTEXTS, CONTEXT, D, generator=generator) + 50 * torch.arange(1, D + 1)
    values[:, 0] *= 100
    documents = (torch.arange(CONTEXTS * CONTEXT) // 21).int().reshape(CONTEXTS, CONTEXT)
    documents[:, 0] = documents[3, 7] = -1
    tokens, folder = tmp_path / "tokens", tmp_path / "acts"
    tokens.mkdir()
    folder.mkdir()
    save_file({"doc_ids": documents}, tokens / "tokens.safetensors")
    place = torch.arange(CONTEXT, dtype=torch.int32)
    for number, (low, high) in enumerate(((0, 7), (7, CONTEXTS))):
        columns = {
            "activations": values[low:high].reshape(-1, D).half(),
            "token_ids": torch.zeros((high - low) * CONTEXT, dtype=torch.int32),
            "positions": place.repeat(high - low),
            "doc_ids": documents[low:high].reshape(-1).clone(),
            "contexts": torch.arange(low, high, dtype=torch.int32).repeat_interleave(CONTEXT),
        }
        write_shard(folder / f"acts-{number:05d}.safetensors", columns)
    shards = [7 * CONTEXT, (CONTEXTS - 7) * CONTEXT]
    write_json(folder / "meta.json", {"hook_point": "layers.1.mlp_out", "d": D, "shards": shards})
    return tokens, folder


def run(world, out: Path) -> dict:
    out.mkdir()
    return reconstruction_nulls.produce(SETTINGS, *world, out)


def test_mean_scores_zero_and_target_scores_one(world, tmp_path):
    facts = run(world, tmp_path / "out")
    assert facts == {"hook_point": "layers.1.mlp_out", "tolerance": 1e-6, "largest_deviation": 0.0}
    record = read_json(tmp_path / "out" / "metrics.json")
    estimates = {metric["name"]: metric["estimate"] for metric in record["metrics"]}
    assert estimates["variance_explained_of_mean"] == pytest.approx(0, abs=1e-9)
    assert estimates["variance_explained_with_bos_of_mean_with_bos"] == pytest.approx(0, abs=1e-9)
    assert estimates["variance_explained_of_target"] == estimates["cosine_of_target"] == 1.0
    run(world, tmp_path / "again")
    assert folder_digest(tmp_path / "again") == folder_digest(tmp_path / "out")


def test_an_uncentred_variance_is_caught(world, tmp_path, monkeypatch):
    """SAEBench core's: nearly 1 for the mean, because the activations are far from zero."""
    right = metrics.squared_errors
    monkeypatch.setattr(metrics, "squared_errors", lambda y, z, mean: right(y, z, np.zeros(D)))
    with pytest.raises(
        GateError, match="^metric nulls, variance_explained_of_mean is 0.99"
    ) as error:
        run(world, tmp_path / "out")
    assert "must be 0 (within 1e-06)" in str(error.value)


def test_a_mean_over_other_rows_is_caught(world, tmp_path, monkeypatch):
    """The mean must be that of the very rows that are scored, BOS left out."""
    right = reconstruction.target_means
    monkeypatch.setattr(reconstruction, "target_means", lambda *a: (right(*a)[1], right(*a)[1]))
    with pytest.raises(GateError, match="^metric nulls, variance_explained_of_mean is 0[.]"):
        run(world, tmp_path / "out")


def test_rows_that_are_counted_on_one_side_only_are_caught(world, tmp_path, monkeypatch):
    right = metrics.squared_errors

    def half(target, reconstruction, mean):
        sse, sst = right(target, reconstruction, mean)
        return sse, np.where(np.arange(len(sst)) % 2, sst, 0.0)

    monkeypatch.setattr(metrics, "squared_errors", half)
    with pytest.raises(GateError, match="^metric nulls, variance_explained_of_mean is -"):
        run(world, tmp_path / "out")


def test_a_wrong_cosine_is_caught(world, tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "cosine", lambda target, reconstruction: np.full(len(target), 0.9))
    with pytest.raises(GateError, match="^metric nulls, cosine_of_target is 0.9 and must be 1"):
        run(world, tmp_path / "out")
