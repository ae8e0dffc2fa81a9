"""The loader of Gemma Scope's JumpReLU coders (``params.npz``).

    pre     = W_enc^T x + b_enc
    latents = pre  where pre > threshold and pre > 0, else 0
    output  = W_dec^T latents + b_dec

``b_dec`` is not subtracted from the input. The file holds W_enc [d, width], W_dec [width, d],
b_enc [width], b_dec [d] and threshold [width]. Reading takes torch and numpy alone.

Source: Lieberum et al. 2024 (arXiv 2408.05147). Hook points of its coders: ``-res`` reads
and writes ``resid_post``; ``-mlp`` reads and writes ``mlp_out_normed``, behind Gemma-2's post-norm.
"""

from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from latent_ledger.coders import csr
from latent_ledger.coders.csr import Csr
from latent_ledger.coders.sparse_coder import SparseCoder
from latent_ledger.lib.errors import LedgerError
from latent_ledger.models.hook_points import CoderSite

ARRAYS = ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")


class GemmaScopeCoder(SparseCoder):
    """A JumpReLU coder at a site.

    `weights` are named as in ``params.npz``. A coder that writes another hook point than it reads
    is a transcoder; the arithmetic is the same.
    """

    def __init__(self, weights: Mapping[str, Tensor], site: CoderSite) -> None:
        self.site, self.architecture = site, "sae" if site.autoencodes else "transcoder"
        self.weights = {name: value.float() for name, value in weights.items()}
        self.encoder, self.decoder = self.weights["W_enc"].mT, self.weights["W_dec"]
        self.width, self.d_in = self.encoder.shape
        self.k = None

    @torch.no_grad()
    def pre_activations(self, x: Tensor) -> Tensor:
        """x [n, d_in] -> rectified pre-activations [n, width]."""
        weights = self.weights
        return (x.to(weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]).relu_()

    def boundary(self, latents: Tensor) -> Tensor:
        """The thresholds [width], whatever the `latents` are."""
        return self.weights["threshold"]

    @torch.no_grad()
    def encode(self, x: Tensor) -> Csr:
        """x [n, d_in] -> CSR latents (indptr [n + 1], indices [nnz], values [nnz] > 0)."""
        pre = self.pre_activations(x)
        return csr.select(pre, (pre > self.weights["threshold"]) & (pre > 0))

    @torch.no_grad()
    def decode(self, indptr: Tensor, indices: Tensor, values: Tensor, x: Tensor) -> Tensor:
        """CSR latents -> output [n, d_in]; there is no skip, so `x` is not read."""
        return csr.decode((indptr, indices, values), self.decoder, self.weights["b_dec"])


def load(folder: Path, site: CoderSite, device: str = "cpu") -> GemmaScopeCoder:
    """Load the ``params.npz`` in `folder`. Raises :class:`LedgerError` if it is not whole."""
    path = Path(folder) / "params.npz"
    if not path.exists():
        raise LedgerError(f"{folder} is no Gemma Scope coder: {path.name} is missing.")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            weights = {name: torch.from_numpy(arrays[name]).to(device) for name in arrays.files}
    except (BadZipFile, ValueError, OSError) as error:
        raise LedgerError(f"{path} cannot be read ({error}): download it again.") from error
    if set(weights) != set(ARRAYS):
        raise LedgerError(
            f"{path} holds {', '.join(sorted(weights))}, but a Gemma Scope coder has exactly "
            f"{', '.join(ARRAYS)}: choose another `path`."
        )
    d, width = weights["W_enc"].shape
    expected = [(d, width), (width, d), (width,), (d,), (width,)]
    if [tuple(weights[name].shape) for name in ARRAYS] != expected:
        shapes = ", ".join(f"{name} {tuple(weights[name].shape)}" for name in ARRAYS)
        raise LedgerError(f"{path} has arrays that do not fit each other: {shapes}.")
    return GemmaScopeCoder(weights, site)
