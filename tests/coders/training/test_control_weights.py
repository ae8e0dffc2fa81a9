"""The geometry of a soft-frozen decoder's bound; what training does with it is in test_controls."""

from __future__ import annotations

import torch

from latent_ledger.coders.training.control_weights import within_cosine


def test_rows_are_turned_the_shortest_way_and_keep_their_norm():
    axis = torch.tensor([[2.0, 0.0, 0.0]]).expand(6, 3)
    rows = torch.tensor(
        [
            [0.9, 0.1, 0.0],  # inside
            [0.0, 5.0, 0.0],  # at a right angle
            [-1.0, 0.0, 1.0],  # behind
            [-3.0, 0.0, 0.0],  # straight behind: no shortest way
            [0.0, 0.0, 0.0],  # points nowhere
            [8.0, 6.0, 0.0],  # on the edge
        ]
    )
    turned = within_cosine(rows, axis, 0.8)
    torch.testing.assert_close(
        turned,
        torch.tensor(
            [
                [0.9, 0.1, 0.0],
                [4.0, 3.0, 0.0],
                [0.8 * 2**0.5, 0.0, 0.6 * 2**0.5],
                [3.0, 0.0, 0.0],
                [0.0, 0.0, 0.0],
                [8.0, 6.0, 0.0],
            ]
        ),
        atol=1e-5,
        rtol=0,
    )
    assert torch.equal(turned[0], rows[0])
    assert torch.equal(within_cosine(turned, axis, 0.8), turned)  # once is enough

    generator = torch.Generator().manual_seed(0)
    many, axes = torch.randn(2, 500, 7, generator=generator)
    turned = within_cosine(many, axes, 0.8)
    torch.testing.assert_close(turned.norm(dim=1), many.norm(dim=1))
    assert torch.cosine_similarity(turned.double(), axes.double()).min() >= 0.8
    # No direction inside is nearer: random ones in the cone are all further from the row.
    others = within_cosine(torch.randn(200, 7, generator=generator), axes[:1].expand(200, 7), 0.8)
    nearest = torch.cosine_similarity(many[:1], turned[:1])
    assert torch.cosine_similarity(others, many[:1]).max() <= nearest + 1e-6
