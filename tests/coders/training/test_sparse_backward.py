"""The faster gradients equal sparsify's own, whatever feeds them."""

from __future__ import annotations

import pytest
import torch
from sparsify import SparseCoder, SparseCoderConfig

from latent_ledger.coders.training.sparse_backward import (
    TrainingCoder,
    by_latent,
    by_latent_sorting,
)


def selection(rows: int, width: int, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    indices = torch.rand(rows, width, generator=generator).topk(k, sorted=False).indices
    return indices, torch.randn(rows, k, generator=generator)


@pytest.mark.parametrize("regroup", [by_latent, by_latent_sorting])
def test_regrouping_by_latent_is_the_transposed_scatter(regroup):
    indices, weights = selection(rows=50, width=40, k=7)
    dense = torch.zeros(50, 40).scatter_(1, indices, weights)
    assert torch.equal(regroup(indices, weights, 40).to_dense(), dense.T)


def test_a_hand_computed_regrouping():
    indices = torch.tensor([[2, 0], [2, 3]])
    weights = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    expected = [[2.0, 0.0], [0.0, 0.0], [1.0, 3.0], [0.0, 4.0]]
    assert by_latent(indices, weights, 4).to_dense().tolist() == expected


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation": "groupmax"},
        {"multi_topk": True},
        {"transcode": True},
        {"transcode": True, "skip_connection": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("auxk", [False, True])
def test_outputs_and_gradients_equal_sparsifys(options, auxk):
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(2, 96, 24, generator=generator)
    results = []
    for kind in (SparseCoder, TrainingCoder):
        torch.manual_seed(2)
        coder = kind(24, SparseCoderConfig(num_latents=128, k=8, **options))
        with torch.no_grad():
            for parameter in coder.parameters():  # transcoders start from zero decoders
                parameter += 0.1 * torch.randn(parameter.shape)
        dead = torch.arange(128) < 30 if auxk else None
        out = coder(x, y if coder.cfg.transcode else None, dead_mask=dead)
        (out.fvu + 0.3 * out.auxk_loss + out.multi_topk_fvu / 8).backward()
        results.append((out, {name: p.grad for name, p in coder.named_parameters()}))
    (upstream, expected), (ours, gradients) = results
    for name, value in upstream._asdict().items():
        assert torch.equal(getattr(ours, name), value), name
    assert (upstream.auxk_loss.item() > 0) == auxk
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-5, atol=1e-7, msg=name)
        assert gradient.abs().max() > 0


def test_state_dicts_are_interchangeable():
    config = SparseCoderConfig(num_latents=64, k=4, transcode=True, skip_connection=True)
    ours = TrainingCoder(8, config)
    SparseCoder(8, config).load_state_dict(ours.state_dict())
