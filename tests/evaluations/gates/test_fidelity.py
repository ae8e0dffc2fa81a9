"""The fidelity check itself, on implementations that are wrong in known ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from latent_ledger.coders import csr
from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.evaluations.gates import fidelity
from latent_ledger.evaluations.gates.fidelity import (
    Agreement,
    below_one,
    compare,
    random_rows,
    real_rows,
)
from latent_ledger.lib.errors import GateError, LedgerError
from latent_ledger.lib.files import read_json
from tests.coders.coder_folders import SITES, WIDTH, D, K, gemma_scope_folder, sparsify_folder
from tests.coders.shard_folders import synthetic


def computed_by(coder):
    """The coder's own latents and output: what a right implementation gives."""

    def compute(x):
        latents = coder.encode(x)
        return fidelity.dense(latents, coder.width), coder.decode(*latents, x)

    return compute


def changed(coder, change):
    """An implementation whose latents are changed; its output is decoded from what it gives."""

    def compute(x):
        latents = change(computed_by(coder)(x)[0].clone())
        return latents, coder.decode(*csr.from_dense(latents), x)

    return compute


@pytest.fixture(params=SITES)
def coder(request, tmp_path):
    return load_coder(sparsify_folder(tmp_path, request.param))


@pytest.fixture
def sae(tmp_path):
    return load_coder(sparsify_folder(tmp_path, "sae"))


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(1100, D, generator=torch.Generator().manual_seed(1))


def test_a_coder_agrees_with_itself(coder, x):
    agreement = compare(coder, computed_by(coder), x)
    assert agreement == Agreement(1100, 1100, 0, 1.0, 0.0, 0.0, 0.0)
    assert agreement.failure is None


def test_one_wrong_latent_per_row_is_a_hand_computed_jaccard(sae, x):
    """The largest latent is dropped: K - 1 of K remain."""

    def drop(latents):
        return latents.scatter(1, latents.argmax(1, keepdim=True), 0.0)

    x = x[(computed_by(sae)(x)[0] > 0).sum(1) == K]
    agreement = compare(sae, changed(sae, drop), x)
    assert agreement.jaccard == pytest.approx((K - 1) / K)
    assert agreement.equal_sets == 0
    assert agreement.failure == (
        f"Jaccard 0.80 (equal active sets on 0 of {len(x):,} rows; all must be)"
    )


def test_one_wrong_row_among_many_fails_the_gate(sae, x):
    """A mean of 0.999 must not read 1."""

    def drop(latents):
        if len(latents) < 512:  # the last block
            latents[0, latents[0].argmax()] = 0.0
        return latents

    agreement = compare(sae, changed(sae, drop), x)
    assert agreement.equal_sets == 1099
    assert agreement.failure.startswith("Jaccard 0.9998")
    assert below_one(0.0712) == "0.07" and below_one(0.999999) == "0.999999"


def test_value_errors_are_relative_to_the_row_scale(sae, x):
    for factor, holds in ((1 + 5e-5, True), (1 + 3e-4, False)):
        agreement = compare(sae, changed(sae, lambda latents, f=factor: latents * f), x)
        assert agreement.jaccard == 1.0
        assert (agreement.failure is None) is holds
    assert agreement.failure.startswith("values off by 3.0e-04")
    # One row a thousand times the others, as BOS is, is held to its own scale.
    x[0] *= 1000
    assert compare(sae, changed(sae, lambda latents: latents * (1 + 5e-5)), x).failure is None


def test_wrong_direction_fails_the_gate(sae, x):
    def tilt(latents):
        top = latents.topk(2, dim=1)
        return latents.scatter(1, top.indices, top.values * torch.tensor([1.01, 0.99]))

    assert compare(sae, changed(sae, tilt), x).failure.startswith("cosine of latents off by")


def test_missing_skip_fails_on_the_output(tmp_path, x):
    coder = load_coder(sparsify_folder(tmp_path, "skip-transcoder"))

    def without_skip(x):
        latents, output = computed_by(coder)(x)
        return latents, output - x @ coder.weights["W_skip"].T

    agreement = compare(coder, without_skip, x)
    assert agreement.jaccard == 1.0
    assert agreement.failure.startswith("output off by")


def test_exact_tie_broken_either_way_agrees(tmp_path, x):
    """Latents 0 and 1 are twins: which one takes the last place says nothing."""
    coder = load_coder(sparsify_folder(tmp_path, "sae"))
    coder.weights["encoder.weight"][1] = coder.weights["encoder.weight"][0]
    coder.weights["encoder.bias"][:2] = 3.0
    coder.k = 1
    at_boundary = computed_by(coder)(x)[0][:, :2].amax(1) > 0
    assert at_boundary.any()

    def swap(latents):
        return latents[:, [1, 0, *range(2, WIDTH)]]

    agreement = compare(coder, changed(coder, swap), x)
    assert agreement.tied_rows == int(at_boundary.sum())
    assert agreement.failure is None

    coder.weights["encoder.bias"][1] += 0.01  # no twins any more: now one of them is right
    assert compare(coder, changed(coder, swap), x).failure.startswith("Jaccard")


def test_a_jumprelu_tie_is_at_its_threshold(tmp_path, x):
    coder = load_coder(gemma_scope_folder(tmp_path))
    latents = computed_by(coder)(x)[0]
    row, latent = (int(i) for i in (latents == latents[latents > 0].median()).nonzero()[0])
    value = latents[row, latent]

    def silence(latents):
        return latents.masked_fill(latents == value, 0.0)

    assert compare(coder, changed(coder, silence), x).failure.startswith("Jaccard")
    coder.weights["threshold"][latent] = value * (1 - 1e-6)
    agreement = compare(coder, changed(coder, silence), x)
    assert agreement.tied_rows == 1 and agreement.failure is None


def test_rows_without_latents_agree_only_with_rows_without_latents(sae, x):
    sae.weights["encoder.bias"] -= 1e3
    agreement = compare(sae, computed_by(sae), x)
    assert agreement.failure is None and agreement.jaccard == 1.0

    def invent(latents):
        return latents.index_fill(1, torch.tensor([3]), 1.0)

    agreement = compare(sae, changed(sae, invent), x)
    assert agreement.jaccard == 0.0 and agreement.cosine_error == 1.0


def test_undefined_values_fail(sae, x):
    def undefined(latents):
        return torch.where(latents > 0, torch.nan, latents)

    assert compare(sae, changed(sae, undefined), x).failure is not None


def test_half_precision_fails_the_gate(sae, x):
    def half(x):
        return computed_by(sae)(x.bfloat16().float())

    assert compare(sae, half, x).failure is not None


def test_real_rows_are_spread_over_the_whole_token_set(tmp_path, sae):
    values = torch.arange(60.0)[:, None].expand(60, D).contiguous()
    folder = synthetic(tmp_path / "acts", values, context=10, hook_point="layers.1.resid_post")
    assert real_rows(folder, sae, 7)[:, 0].tolist() == [0, 9, 19, 29, 39, 49, 59]
    assert real_rows(folder, sae, 1000).shape == (60, D)
    other = load_coder(sparsify_folder(tmp_path / "other", "transcoder"))
    with pytest.raises(LedgerError, match="reads layers.1.mlp_in; .* holds layers.1.resid_post"):
        real_rows(folder, other, 7)


def test_random_rows_have_the_scale_of_real_ones_and_a_seed():
    real = torch.randn(4000, D) * torch.arange(1, D + 1) + 100
    random = random_rows(real, 4000, seed=3)
    torch.testing.assert_close(random.mean(0), real.mean(0), rtol=0.02, atol=0)
    torch.testing.assert_close(random.std(0), real.std(0), rtol=0.1, atol=0)
    assert torch.equal(random, random_rows(real, 4000, seed=3))
    assert not torch.equal(random, random_rows(real, 4000, seed=4))


def test_a_failure_is_one_line_that_starts_with_the_gate():
    right = Agreement(512, 512, 0, 1.0, 0.0, 1e-7, 1e-7)
    wrong = replace(right, equal_sets=3, jaccard=0.0719)
    fidelity.require({"random": right, "real": right}, "nothing to say")
    with pytest.raises(GateError) as error:
        fidelity.require({"random": right, "real": wrong}, "the reader is wrong.")
    assert str(error.value) == (
        "encode fidelity, Jaccard 0.07 (equal active sets on 3 of 512 rows; all must be) on real "
        "activations: the reader is wrong."
    )


def test_record_counts_the_rows(tmp_path: Path):
    parts = {
        "random": Agreement(512, 512, 1, 1.0, 0.0, 2e-7, 0.0),
        "real": Agreement(2048, 2048, 2, 1.0, 0.0, 1e-7, 3e-7),
    }
    facts = fidelity.write(parts, {"against": "a library"}, tmp_path)
    record = read_json(tmp_path / "metrics.json")
    by = {metric["name"]: metric for metric in record["metrics"]}
    assert record["facts"] == facts
    assert facts["rows"] == {"random": 512, "real": 2048} and facts["tied_rows"] == 3
    assert (by["jaccard"]["estimate"], by["jaccard"]["n"]) == (1.0, 2560)
    assert by["output_error_real"]["estimate"] == 3e-7
