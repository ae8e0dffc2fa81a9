"""The loader of sparsify's coders (``cfg.json`` + ``sae.safetensors``).

An SAE encodes ``top_k(relu(W_enc (x - b_dec) + b_enc))``; a transcoder does not subtract ``b_dec``,
which lives at its output; a skip-transcoder adds ``W_skip x`` to what it decodes. Everything runs
in fp32: bf16 alone changes about 1% of the active set.

Reading a coder takes torch alone. Importing sparsify loads its trainer and, with it, all of
transformers, datasets and torch.distributed: seconds in each of the many jobs that only encode. The
arithmetic is therefore written out here, and tested to equal ``SparseCoder``'s for every
architecture.
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
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.models.hook_points import CoderSite


def architecture_of(cfg: Mapping[str, Any]) -> str:
    """ "sae", "transcoder" or "skip-transcoder", from a ``cfg.json``."""
    if not cfg.get("transcode"):
        return "sae"
    return "skip-transcoder" if cfg.get("skip_connection") else "transcoder"


class SparsifyCoder:
    """A TopK :class:`~latent_ledger.coders.sparse_coder.SparseCoder` at a site.

    `weights` are named as in ``sae.safetensors``: ``encoder.weight`` and ``W_dec`` [width, d],
    ``encoder.bias`` [width], ``b_dec`` [d] and, for a skip-transcoder, ``W_skip`` [d, d].
    """

    def __init__(
        self, cfg: Mapping[str, Any], weights: Mapping[str, Tensor], site: CoderSite
    ) -> None:
        self.site, self.architecture = site, architecture_of(cfg)
        self.transcodes = bool(cfg.get("transcode"))
        self.weights = {name: value.float() for name, value in weights.items()}
        self.width, self.d_in = self.weights["encoder.weight"].shape
        self.k = int(cfg["k"])
        if cfg.get("activation", "topk") != "topk":
            raise LedgerError(
                f"Coder at {site}: only the activation topk is read, not {cfg['activation']!r}; "
                "add it to coders/formats/sparsify/loader.py."
            )
        check_site(self.architecture, not self.transcodes, site)

    @torch.no_grad()
    def pre_activations(self, x: Tensor) -> Tensor:
        """x [n, d_in] -> rectified pre-activations [n, width]."""
        weights = self.weights
        x = x.to(weights["b_dec"])
        if not self.transcodes:
            x = x - weights["b_dec"]
        return F.relu(F.linear(x, weights["encoder.weight"], weights["encoder.bias"]))

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
        weights = self.weights
        y = csr.decode((indptr, indices, values), weights["W_dec"], weights["b_dec"])
        if "W_skip" in weights:
            y += x.to(weights["W_skip"]) @ weights["W_skip"].mT
        return y

    def encoder_rows(self, latents: Tensor | None = None) -> Tensor:
        """Encoder rows [n, d_in] of the `latents` [n], or of all."""
        rows = self.weights["encoder.weight"]
        return rows if latents is None else rows[latents]

    def decoder_rows(self, latents: Tensor | None = None) -> Tensor:
        """Decoder rows [n, d_in] of the `latents` [n], or of all."""
        rows = self.weights["W_dec"]
        return rows if latents is None else rows[latents]

    def reconstruct(self, x: Tensor) -> Tensor:
        """x [n, d_in] -> the coder's output [n, d_in] at its output hook."""
        return self.decode(*self.encode(x), x)


def load(folder: Path, site: CoderSite, device: str = "cpu") -> SparsifyCoder:
    """Load a folder written by ``SparseCoder.save_to_disk``."""
    for name in ("cfg.json", "sae.safetensors"):
        if not (Path(folder) / name).exists():
            raise LedgerError(f"{folder} is no sparsify coder: {name} is missing.")
    weights = load_file(Path(folder) / "sae.safetensors", device=device)
    return SparsifyCoder(read_json(Path(folder) / "cfg.json"), weights, site)
