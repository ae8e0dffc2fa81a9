"""The two-stage selection finds what torch.topk finds."""

from __future__ import annotations

import pytest
import torch

from latent_ledger.coders.top_k import GROUP, top_k


@pytest.mark.parametrize(
    ("width", "k"), [(1024, 32), (1024, 1), (64, 4), (64, 16), (60, 5), (8, 8)]
)
def test_the_same_latents_as_torch(width, k):
    # All values of a row differ, so that there is one right answer.
    x = torch.stack([torch.randperm(width, generator=torch.manual_seed(row)) for row in range(50)])
    values, indices = top_k(x.float(), k)
    expected = x.float().topk(k, dim=1)
    order = values.argsort(dim=1, descending=True)
    assert torch.equal(values.gather(1, order), expected.values)
    assert torch.equal(indices.gather(1, order), expected.indices)


@pytest.mark.parametrize("where", ["one group", "one per group"])
def test_the_largest_may_share_a_group_or_not(where):
    width, k = 32 * GROUP, 6
    x = -torch.rand(3, width)
    # A group is every 32nd column.
    columns = torch.arange(k) * (32 if where == "one group" else 1) + 5
    x[:, columns] = torch.arange(1.0, k + 1)
    assert torch.equal(top_k(x, k)[1].sort(dim=1).values, columns.expand(3, k))


def test_ties_and_zeros_are_distinct_columns():
    x = torch.randint(0, 3, (200, 256), generator=torch.manual_seed(0)).float()
    x[:20] = 0
    values, indices = top_k(x, 16)
    assert torch.equal(values, x.gather(1, indices))
    assert torch.equal(values.sort(descending=True).values, x.topk(16).values)
    assert all(len(row.unique()) == 16 for row in indices)
