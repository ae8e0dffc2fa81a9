"""Our metrics and SAEBench's core: equal where it is right, and its errors shown elsewhere."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from latent_ledger.coders import codes
from latent_ledger.coders.saelens import to_saelens, wrong_variant
from latent_ledger.evaluations.saebench import core
from latent_ledger.lib.files import read_json
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.statistics import metrics
from tests.coders.shard_folders import from_model
from tests.evaluations.saebench.folders import SITES, coder_folder
from tests.tiny_models import BOS, EOS, PAD, packed_tokens

SETTINGS = {"contexts": 20, "batch": 4}
TAP = HookPoint.parse("layers.1.resid_post")


@pytest.fixture(scope="module")
def world(neox, tmp_path_factory):
    """A model, packed tokens and their activations at both hook points of a transcoder, and of an
    SAE.
    """
    folder = tmp_path_factory.mktemp("core")
    tokens = packed_tokens(folder / "tokens", contexts=20)
    hook_points = {str(hook_point) for site in SITES.values() for hook_point in site.hook_points}
    return neox, tokens, from_model(neox, tokens, folder / "acts", *sorted(hook_points))


def checked(world, folder, architecture, adapt=to_saelens):
    """The table of the cross-check by metric, its metrics, and its facts."""
    model, tokens, acts = world
    coder = coder_folder(folder / "coder", architecture)
    input_hook = acts[str(SITES[architecture].input_hook)]
    for name in ("codes", "out"):
        (folder / name).mkdir()
    codes.produce({}, input_hook, coder, folder / "codes")
    sae = adapt(coder)
    out = folder / "out"
    facts = core.produce(SETTINGS, sae, model, tokens, input_hook, folder / "codes", coder, out)
    rows = {row["metric"]: row for row in pq.read_table(out / "core.parquet").to_pylist()}
    return rows, {m["name"]: m for m in read_json(out / "metrics.json")["metrics"]}, facts


def test_our_metrics_equal_the_correct_ones_within_1e_4(world, tmp_path):
    rows, metrics, facts = checked(world, tmp_path, "sae")
    assert set(rows) == {*core.CORRECT, *core.WRONG}
    for name in core.CORRECT:
        assert rows[name]["relative_difference"] < 1e-4, rows[name]
    assert metrics["largest_difference"]["estimate"] < 1e-4
    assert metrics["largest_difference"]["n"] == len(core.CORRECT)
    # The quantities are alive: sparse, imperfect, and worth something to the model's loss.
    assert 0 < rows["l0"]["ours"] <= 8 and -1 < rows["cossim"]["ours"] < 0.99
    assert rows["ce_loss_with_sae"]["ours"] != pytest.approx(rows["ce_loss_without_sae"]["ours"])
    assert facts["tokens"] == 20 * 15 - 25  # without BOS, and without one EOS in twelve


def test_wrong_adapter_gives_a_large_difference(world, tmp_path):
    _, metrics, _ = checked(world, tmp_path, "sae", lambda coder: wrong_variant(coder).sae)
    assert metrics["largest_difference"]["estimate"] > 1e-2


@pytest.mark.parametrize("architecture", ["transcoder", "skip-transcoder"])
def test_transcoder_comparison_covers_only_latents(world, tmp_path, architecture):
    rows, metrics, _ = checked(world, tmp_path, architecture)
    assert set(rows) == set(core.LATENTS)
    assert metrics["largest_difference"]["estimate"] < 1e-4


class Constant:
    """A coder that predicts one vector, whatever it reads."""

    device, dtype = "cpu", torch.float32

    def __init__(self, vector):
        self.vector, self.cfg = vector, SimpleNamespace(d_sae=4)

    def encode(self, x):
        return torch.ones(*x.shape[:-1], 4)

    def decode(self, latents):
        return self.vector.expand(*latents.shape[:-1], -1)


def test_sae_bench_explained_variance_of_the_mean_is_wrong(tmp_path):
    """Predicting the mean explains nothing; sae_bench 0.6.0 says almost everything.

    Reference: sae_bench/evals/core/main.py, get_sparsity_and_variance_metrics: ``total_variance``
    is E||x||^2 - (mean over dimensions of E x_d^2)^2, where E||x||^2 - ||E x||^2 is meant, and
    ``mse`` is a mean over tokens of a sum that was divided by the batch's tokens already.
    """
    torch.manual_seed(0)
    contexts, context, d, batch = 12, 10, 32, 4
    ids = torch.randint(97, 123, (contexts, context))
    ids[:, 0] = BOS
    values = 0.12 + 0.032 * torch.randn(contexts, context, d)
    ordinary = values[:, 1:].flatten(0, 1)
    replay = core.Replay(ids, values, TAP, {BOS, EOS, PAD})
    mean = ordinary.mean(dim=0)
    theirs = core.sae_bench_metrics(Constant(mean), replay, batch)
    predicted = mean.expand(len(ordinary), -1)
    assert metrics.variance_explained(ordinary.numpy(), predicted.numpy()) == pytest.approx(
        0.0, abs=1e-6
    )
    second = ordinary.pow(2)
    residual = (ordinary - mean).pow(2).sum(1).mean()
    wrong = 1 - residual / (second.sum(1).mean() - second.mean() ** 2)
    assert theirs["explained_variance"] == pytest.approx(float(wrong), abs=1e-4)
    assert theirs["explained_variance"] > 0.9
    mse = float((ordinary - mean).pow(2).sum(1).mean())
    assert theirs["mse"] == pytest.approx(mse / (batch * (context - 1)), rel=1e-4)


def test_density_difference_is_that_of_the_worst_latent():
    densities = {"feature_density": np.array([0.5, 0.1, 0.0])}
    other = {"feature_density": np.array([0.5, 0.11, 0.0])}
    never = {"feature_density": np.array([0.5, 0.1, 0.2])}
    for theirs, expected in ((other, 0.01 / 0.11), (densities, 0.0), (never, 1.0)):
        (row,) = core.comparison(densities, theirs, ["feature_density"])
        assert row["relative_difference"] == pytest.approx(expected, rel=1e-12, abs=0)
