"""Muon in float32 against torch's own."""

from __future__ import annotations

import torch

from latent_ledger.models.muon import Muon, orthogonalize

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def test_singular_values_are_pushed_to_one():
    generator = torch.Generator().manual_seed(0)
    for shape in ((3, 40, 96), (2, 96, 40), (1, 64, 64)):
        matrices = torch.randn(shape, generator=generator)
        directions = orthogonalize(matrices, COEFFICIENTS, steps=5, eps=1e-7)
        values = torch.linalg.svdvals(directions)
        assert directions.shape == matrices.shape
        # A square random matrix has singular values near 0, which five steps do not lift.
        assert values.max() < 1.25
        assert values.median() > 0.65
        left, _, right = torch.linalg.svd(matrices, full_matrices=False)
        exact = left @ right
        for left, right in zip(directions, exact, strict=True):
            assert torch.cosine_similarity(left.flatten(), right.flatten(), dim=0) > 0.95


def test_a_batch_is_its_matrices_one_by_one():
    matrices = torch.randn(4, 24, 16, generator=torch.Generator().manual_seed(1))
    whole = orthogonalize(matrices, COEFFICIENTS, 5, 1e-7)
    single = torch.cat([orthogonalize(m[None], COEFFICIENTS, 5, 1e-7) for m in matrices])
    torch.testing.assert_close(whole, single, rtol=1e-4, atol=1e-5)


def test_steps_are_those_of_torch_up_to_bfloat16():
    generator = torch.Generator().manual_seed(2)
    start = [torch.randn(shape, generator=generator) for shape in ((32, 48), (32, 48), (64, 16))]
    ours = [torch.nn.Parameter(matrix.clone()) for matrix in start]
    theirs = [torch.nn.Parameter(matrix.clone()) for matrix in start]
    mine = Muon(ours, lr=0.02)
    reference = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        for left, right in zip(ours, theirs, strict=True):
            left.grad = torch.randn(left.shape, generator=generator)
            right.grad = left.grad.clone()
        mine.step()
        reference.step()
    for left, right, before in zip(ours, theirs, start, strict=True):
        moved, expected = left.detach() - before, right.detach() - before
        assert (moved - expected).norm() < 0.03 * expected.norm()
        assert expected.norm() > 0.1
