"""Sparse latents in CSR form, and the arithmetic that coders of every format share.

indptr  int64   [n + 1]   row r holds entries indptr[r] .. indptr[r + 1]
indices int32   [nnz]     latents, ascending within a row
values  float32 [nnz]     > 0
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from latent_ledger.coders.top_k import top_k

Csr = tuple[Tensor, Tensor, Tensor]
"""(indptr, indices, values) as above, all on one device."""


def largest(pre_activations: Tensor, k: int) -> Csr:
    """The `k` largest of every row of rectified pre-activations [n, width]; zeros are left out."""
    acts, indices = top_k(pre_activations, k)
    indices, order = indices.sort(dim=1)
    acts = acts.gather(1, order)
    active = acts > 0  # a row with fewer than k positive latents is filled up with zeros
    indptr = F.pad(active.sum(1).cumsum(0), (1, 0))
    return indptr, indices[active].int(), acts[active]


def select(latents: Tensor, active: Tensor) -> Csr:
    """The entries of dense `latents` [n, width] where `active` [n, width] holds."""
    indptr = F.pad(active.sum(1).cumsum(0), (1, 0))
    return indptr, active.nonzero()[:, 1].int(), latents[active]


def from_dense(latents: Tensor) -> Csr:
    """The positive entries of dense `latents` [n, width]."""
    return select(latents, latents > 0)


def to_dense(latents: Csr, width: int) -> Tensor:
    """Dense latents [n, width] on the device of `latents`."""
    indptr, indices, values = latents
    dense = values.new_zeros(len(indptr) - 1, width)
    rows = torch.arange(len(dense), device=indptr.device)
    dense[torch.repeat_interleave(rows, indptr.diff()), indices.long()] = values
    return dense


def decode(latents: Csr, decoder: Tensor, bias: Tensor) -> Tensor:
    """``latents @ decoder + bias`` [n, d] for a decoder [width, d] and a bias [d]."""
    indptr, indices, values = latents
    return bias + F.embedding_bag(
        indices.long(),
        decoder,
        indptr,
        mode="sum",
        per_sample_weights=values,
        include_last_offset=True,
    )
