"""Metrics against hand-computed values, against each other, and against the peers' own code."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import einops
import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from latent_ledger.statistics import metrics


def upstream(package: str, file: str, name: str) -> Any:
    """A function or class of an installed package, from its source, without the package's imports.

    The peers import whole model libraries (20 s) around the arithmetic that is looked at here.
    """
    path = Path(importlib.util.find_spec(package).origin).parent / file
    node = next(n for n in ast.parse(path.read_text()).body if getattr(n, "name", "") == name)
    node.decorator_list = []
    names = {"torch": torch, "einops": einops}
    # compile() inherits this file's postponed annotations, so their types need not exist here.
    exec(compile(ast.Module([node], []), str(path), "exec"), names)
    return names[name]


@pytest.fixture
def far_from_zero() -> tuple[np.ndarray, np.ndarray]:
    """Targets whose mean is 30 times their spread, as in a residual stream, and noisy copies."""
    rng = np.random.default_rng(0)
    target = 30.0 + rng.normal(size=(400, 8))
    return target, target + 0.5 * rng.normal(size=target.shape)


class TestVarianceExplained:
    def test_fvu_equals_hand_computation(self):
        target = np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 6.0]])  # mean [2, 2]; spread 8 + 4 + 20
        guess = np.array([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0]])  # errors 0 + 4 + 4
        assert metrics.fvu(target, guess) == pytest.approx(8 / 32)
        assert metrics.variance_explained(target, guess) == pytest.approx(0.75)

    def test_mean_scores_zero_and_truth_one(self, far_from_zero):
        target, _ = far_from_zero
        null = np.broadcast_to(target.mean(axis=0), target.shape)
        assert metrics.variance_explained(target, null) == pytest.approx(0.0, abs=1e-12)
        assert metrics.variance_explained(target, target) == 1.0

    def test_output_worse_than_mean_is_negative(self, far_from_zero):
        target, _ = far_from_zero
        assert metrics.variance_explained(target, np.zeros_like(target)) < -100

    def test_constant_target_has_fvu_zero_or_infinite(self):
        target = np.ones((3, 2))
        assert metrics.fvu(target, target) == 0
        assert metrics.fvu(target, target + 1) == float("inf")

    @pytest.mark.parametrize("batch", [1, 7, 64, 400])
    def test_two_passes_do_not_depend_on_batch(self, far_from_zero, batch):
        target, guess = (part.astype(np.float32) for part in far_from_zero)
        mean = metrics.RunningMean()
        for low in range(0, len(target), batch):
            mean.update(target[low : low + batch])
        sums = np.zeros(2)
        for low in range(0, len(target), batch):
            part = slice(low, low + batch)
            sums += [x.sum() for x in metrics.squared_errors(target[part], guess[part], mean.mean)]
        assert mean.count == 400
        assert 1 - sums[0] / sums[1] == pytest.approx(
            metrics.variance_explained(target, guess), abs=1e-12
        )

    def test_running_mean_skips_empty_batches_and_refuses_no_rows(self):
        mean = metrics.RunningMean()
        with pytest.raises(ValueError, match="no rows"):
            _ = mean.mean
        mean.update(np.empty((0, 2)))
        mean.update(np.array([[1.0, 2.0], [3.0, 6.0]]))
        np.testing.assert_array_equal(mean.mean, [2.0, 4.0])

    def test_fvu_equals_sparsify_on_one_batch(self, far_from_zero):
        from sparsify import SparseCoder, SparseCoderConfig

        torch.manual_seed(0)
        coder = SparseCoder(8, SparseCoderConfig(num_latents=32, k=4, transcode=True))
        coder.W_dec.data.normal_()
        x = torch.randn(400, 8)
        y = torch.from_numpy(far_from_zero[0]).float()
        with torch.no_grad():
            output = coder(x, y)
        ours = metrics.fvu(y.numpy(), output.sae_out.numpy())
        assert ours == pytest.approx(output.fvu.item(), rel=1e-4)

    def test_variance_explained_equals_saelens_over_batches(self, far_from_zero):
        target, guess = (torch.from_numpy(part) for part in far_from_zero)
        theirs = upstream("sae_lens", "evals.py", "ExplainedVarianceCalculator")()
        for low in range(0, 400, 30):
            theirs.add_batch(guess[low : low + 30], target[low : low + 30])
        assert metrics.variance_explained(*far_from_zero) == pytest.approx(theirs.compute())

    def test_saebench_variance_explained_of_mean_is_not_zero(self):
        """Its total variance is E||x||^2 - (E x^2)^2, dimensions averaged: nearly uncentred."""
        rng = np.random.default_rng(0)
        target = (0.5 * np.ones(64) + 0.13 * rng.normal(size=(512, 64))).astype(np.float32)
        null = np.broadcast_to(target.mean(axis=0), target.shape)
        theirs, _ = upstream(
            "sae_bench", "evals/core/main.py", "get_sparsity_and_variance_metrics"
        )(
            *saebench_world(torch.from_numpy(target), torch.from_numpy(null.copy())),
            n_batches=1,
            compute_l2_norms=False,
            compute_sparsity_metrics=False,
            compute_variance_metrics=True,
            compute_featurewise_density_statistics=False,
            eval_batch_size_prompts=1,
            model_kwargs={},
        )
        assert theirs["explained_variance"] == pytest.approx(0.935, abs=0.01)
        assert metrics.variance_explained(target, null) == pytest.approx(0.0, abs=1e-6)


def saebench_world(target: torch.Tensor, output: torch.Tensor) -> tuple[Any, Any, Any]:
    """A coder, model and store for SAEBench that hold `target` and reconstruct it as `output`."""
    coder = SimpleNamespace(
        cfg=SimpleNamespace(hook_name="resid", hook_head_index=None, hook_layer=0, d_sae=1),
        encode=lambda x: x,
        decode=lambda z: output[None],
        device="cpu",
    )
    model = SimpleNamespace(run_with_cache=lambda *_, **__: (None, {"resid": target[None]}))
    tokens = torch.zeros((1, len(target)), dtype=torch.long)
    return coder, model, SimpleNamespace(get_batch_tokens=lambda _: tokens)


class TestRows:
    def test_cosine_equals_hand_computation(self):
        target = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
        guess = np.array([[6.0, 8.0], [0.0, 2.0], [1.0, 0.0], [-1.0, -1.0]])
        np.testing.assert_allclose(metrics.cosine(target, guess), [1, 0, 0, -1], atol=1e-15)

    def test_loss_recovered_equals_hand_computation(self):
        assert metrics.loss_recovered(2.0, 2.5, 4.0) == pytest.approx(0.75)
        assert metrics.loss_recovered(2.0, 2.0, 4.0) == 1.0
        assert metrics.loss_recovered(2.0, 4.0, 4.0) == 0.0
        assert metrics.loss_recovered(2.0, 5.0, 4.0) == pytest.approx(-0.5)
        assert np.isnan(metrics.loss_recovered(2.0, 2.0, 2.0))


class TestLatents:
    codes = csr_matrix(np.array([[1.0, 0, 0, 2], [3, 0, 0, 0], [5, 1, 0, 0], [0, 0, 0, 0]]))

    def test_latent_activity_equals_hand_computation(self):
        np.testing.assert_array_equal(metrics.l0(self.codes), [2, 1, 2, 0])
        fired, total = metrics.latent_activity(self.codes)
        np.testing.assert_array_equal(fired, [3, 1, 0, 1])
        np.testing.assert_array_equal(total, [9, 1, 0, 2])

    def test_histogram_counts_every_live_latent_once(self):
        density = np.array([0.0, 1e-9, 1e-3, 0.5, 1.0])
        histogram = metrics.density_histogram(density)
        assert histogram.sum() == 4
        assert histogram[0] == 1  # rarer than the first edge
        assert histogram[-1] == 1  # 10^-0.25 = 0.56 to 1, both ends counted
        assert histogram[12] == 1  # 1e-3 is the left end of its bin
        assert histogram[-2] == 1  # 0.5
