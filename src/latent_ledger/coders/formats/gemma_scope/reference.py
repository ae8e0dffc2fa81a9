"""Gemma Scope's coders as SAELens has them, from the published file: the reader's reference."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sae_lens import JumpReLUSAE, JumpReLUSAEConfig, JumpReLUTranscoder, JumpReLUTranscoderConfig
from torch import Tensor

from latent_ledger.coders.formats.gemma_scope.entry import FORMAT
from latent_ledger.coders.sparse_coder import SparseCoder


def library(
    folder: Path, coder: SparseCoder
) -> tuple[str, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """Name of the library's class, and its dense latents [n, width] and output [n, d] of x."""
    sizes = {"d_in": coder.d_in, "d_sae": coder.width, "apply_b_dec_to_input": False}
    upstream: JumpReLUSAE | JumpReLUTranscoder
    if coder.site.autoencodes:
        upstream = JumpReLUSAE(JumpReLUSAEConfig(**sizes))
    else:
        upstream = JumpReLUTranscoder(JumpReLUTranscoderConfig(**sizes, d_out=coder.d_in))
    with np.load(folder / FORMAT.file) as arrays:
        upstream.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    return f"sae_lens.{type(upstream).__name__}", lambda x: (upstream.encode(x), upstream(x))
