"""sparsify's own ``SparseCoder`` of a folder: the reader's reference."""

from collections.abc import Callable
from pathlib import Path

import torch
from sparsify import SparseCoder
from torch import Tensor

from latent_ledger.coders import sparse_coder


def library(
    folder: Path, coder: sparse_coder.SparseCoder
) -> tuple[str, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """Name of the library's class, and its dense latents [n, width] and output [n, d] of x."""
    upstream = SparseCoder.load_from_disk(folder).float()

    def compute(x: Tensor) -> tuple[Tensor, Tensor]:
        output = upstream(x, x)  # the target enters only the losses, which are not used
        latents = torch.zeros(len(x), upstream.num_latents)
        return latents.scatter_(1, output.latent_indices, output.latent_acts), output.sae_out

    return "sparsify.SparseCoder", compute
