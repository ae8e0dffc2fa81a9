"""The loader of sparsify's coders (``cfg.json`` + ``sae.safetensors``).

An SAE encodes ``top_k(relu(W_enc (x - b_dec) + b_enc))``; a transcoder does not subtract ``b_dec``,
which lives at its output; a skip-transcoder adds ``W_skip x`` to what it decodes. Everything runs
in fp32: bf16 alone changes about 1% of the active set.

Importing sparsify takes seconds in each of the many jobs that only encode. The arithmetic is
therefore written out here, and tested to equal ``SparseCoder``'s for every architecture.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from latent_ledger.coders import csr
from latent_ledger.coders.csr import Csr
from latent_ledger.coders.formats.site_file import check_site
from latent_ledger.coders.sparse_coder import SparseCoder
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.models.hook_points import CoderSite


class SparsifyCoder(SparseCoder):
    """A TopK coder at a site.

    `weights` are named as in ``sae.safetensors``: ``encoder.weight`` and ``W_dec`` [width, d],
    ``encoder.bias`` [width], ``b_dec`` [d] and, for a skip-transcoder, ``W_skip`` [d, d].
    """

    def __init__(
        self, cfg: Mapping[str, Any], weights: Mapping[str, Tensor], site: CoderSite
    ) -> None:
        self.site, self.transcodes = site, bool(cfg.get("transcode"))
        self.architecture = "transcoder" if self.transcodes else "sae"
        if self.transcodes and cfg.get("skip_connection"):
            self.architecture = "skip-transcoder"
        self.weights = {name: value.float() for name, value in weights.items()}
        self.encoder, self.decoder = self.weights["encoder.weight"], self.weights["W_dec"]
        self.width, self.d_in = self.encoder.shape
        self.k: int = int(cfg["k"])
        if cfg.get("activation", "topk") != "topk":
            raise LedgerError(
                f"Coder at {site}: only the activation topk is read, not {cfg['activation']!r}; "
                "add it to coders/formats/sparsify/loader.py."
            )
        check_site(self.architecture, not self.transcodes, site)

    @torch.no_grad()
    def pre_activations(self, x: Tensor) -> Tensor:
        """x [n, d_in] -> rectified pre-activations [n, width]."""
        x = x.to(self.weights["b_dec"])
        if not self.transcodes:
            x = x - self.weights["b_dec"]
        return F.relu(F.linear(x, self.encoder, self.weights["encoder.bias"]))

    def boundary(self, latents: Tensor) -> Tensor:
        """The k-th largest latent [n, 1] of rows with dense `latents` [n, width]; 0 with fewer."""
        return latents.topk(self.k, dim=1).values[:, -1:]

    @torch.no_grad()
    def encode(self, x: Tensor) -> Csr:
        """x [n, d_in] -> CSR latents (indptr [n + 1], indices [nnz], values [nnz] > 0)."""
        return csr.largest(self.pre_activations(x), self.k)

    @torch.no_grad()
    def decode(self, indptr: Tensor, indices: Tensor, values: Tensor, x: Tensor) -> Tensor:
        """CSR latents and the coder's input x [n, d_in] -> output [n, d_in]."""
        y = csr.decode((indptr, indices, values), self.decoder, self.weights["b_dec"])
        if (skip := self.weights.get("W_skip")) is not None:
            y += x.to(skip) @ skip.mT
        return y


def load(folder: Path, site: CoderSite, device: str = "cpu") -> SparsifyCoder:
    """Load a folder written by ``SparseCoder.save_to_disk``."""
    cfg, weights = Path(folder) / "cfg.json", Path(folder) / "sae.safetensors"
    for path in (cfg, weights):
        if not path.exists():
            raise LedgerError(f"{folder} is no sparsify coder: {path.name} is missing.")
    return SparsifyCoder(read_json(cfg), load_file(weights, device=device), site)
