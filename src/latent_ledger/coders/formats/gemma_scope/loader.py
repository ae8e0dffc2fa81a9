"""The loader of Gemma Scope's JumpReLU coders (``params.npz``).

    pre     = W_enc^T x + b_enc
    latents = pre  where pre > threshold and pre > 0, else 0
    output  = W_dec^T latents + b_dec

``b_dec`` is not subtracted from the input. The file holds W_enc [d, width], W_dec [width, d],
b_enc [width], b_dec [d] and threshold [width]. How many latents are active follows from the
thresholds and differs from row to row. Reading takes torch and numpy alone.

Source: Lieberum et al. 2024 (arXiv 2408.05147). Which points its coders belong to: ``-res`` reads
and writes ``resid_post``; ``-mlp`` reads and writes ``mlp_out_normed``, behind Gemma-2's post-norm.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import write_json
from latent_ledger.models.hook_points import CoderSite

FORMAT = "gemma_scope"
"""This format's name in ``site.json``."""
FILE = "params.npz"
ARRAYS = ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")


class GemmaScopeCoder:
    """A JumpReLU coder at a hook point; see :class:`latent_ledger.coders.sparse_coder.Coder`.

    `weights` are named as in ``params.npz``. A coder that writes another hook point than it reads
    is a transcoder; the arithmetic is the same.
    """

    def __init__(self, weights: Mapping[str, Tensor], site: CoderSite) -> None:
        self.site, self.architecture = site, "sae" if site.autoencodes else "transcoder"
        self.weights = {name: value.float() for name, value in weights.items()}
        self.d_in, self.width = self.weights["W_enc"].shape

    @torch.no_grad()
    def encode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x [n, d_in] -> CSR latents (indptr [n + 1], indices [nnz], values [nnz] > 0)."""
        weights = self.weights
        pre_acts = x.to(weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]
        active = (pre_acts > weights["threshold"]) & (pre_acts > 0)
        indptr = F.pad(active.sum(1).cumsum(0), (1, 0))
        return indptr, active.nonzero()[:, 1].int(), pre_acts[active]

    @torch.no_grad()
    def decode(self, indptr: Tensor, indices: Tensor, values: Tensor, x: Tensor) -> Tensor:
        """CSR latents -> output [n, d_in]; there is no skip, so `x` is not read."""
        return self.weights["b_dec"] + F.embedding_bag(
            indices.long(),
            self.weights["W_dec"],
            indptr,
            mode="sum",
            per_sample_weights=values,
            include_last_offset=True,
        )

    def reconstruct(self, x: Tensor) -> Tensor:
        """x [n, d_in] -> the coder's output [n, d_in] at its output hook."""
        return self.decode(*self.encode(x), x)


def load(folder: Path, site: CoderSite, device: str = "cpu") -> GemmaScopeCoder:
    """Load the ``params.npz`` in `folder`. Raises :class:`LedgerError` if it is not whole."""
    path = Path(folder) / FILE
    if not path.exists():
        raise LedgerError(f"{folder} is no Gemma Scope coder: {FILE} is missing.")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: torch.from_numpy(arrays[name]).to(device) for name in arrays.files}
    except (BadZipFile, ValueError, OSError) as error:
        raise LedgerError(f"{path} cannot be read ({error}): download it again.") from error
    if set(found) != set(ARRAYS):
        raise LedgerError(
            f"{path} holds {', '.join(sorted(found))}, but a Gemma Scope coder has exactly "
            f"{', '.join(ARRAYS)}: choose another `path`."
        )
    d, width = found["W_enc"].shape
    expected = [(d, width), (width, d), (width,), (d,), (width,)]
    if [tuple(found[name].shape) for name in ARRAYS] != expected:
        shapes = ", ".join(f"{name} {tuple(found[name].shape)}" for name in ARRAYS)
        raise LedgerError(f"{path} has arrays that do not fit each other: {shapes}.")
    return GemmaScopeCoder(found, site)


def produce_pretrained(settings: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write a Gemma Scope coder, as published and with its site, into `out`.

    `settings`: source (a hub id such as ``google/gemma-scope-2b-pt-res``, or a local folder), path
    (the folder in it, such as ``layer_12/width_16k/average_l0_82``; may be absent), revision (may
    be absent), layer, reads, writes. Returns facts: architecture, d_in, width. Raises
    :class:`LedgerError` if the file cannot be had, and for embedding coders, which were trained on
    scaled inputs.
    """
    path = (settings.get("path") or "").strip("/")
    if "embedding" in path:
        raise LedgerError(
            f"{path}: Gemma Scope's embedding coders read scaled embeddings, which is no hook "
            "point here; "
            "choose a layer_<number> folder."
        )
    params = _find(settings["source"], path, settings.get("revision"))
    site = CoderSite.at(settings["layer"], settings["input_hook"], settings.get("output_hook"))
    coder = load(params.parent, site)
    shutil.copyfile(params, Path(out) / FILE)
    write_json(Path(out) / "site.json", {**site.as_dict(), "format": FORMAT})
    return {"architecture": coder.architecture, "d_in": coder.d_in, "width": coder.width}


def _find(source: str, path: str, revision: str | None) -> Path:
    """The ``params.npz`` of a local folder, of the hub's cache, or of the hub."""
    if Path(source).is_dir():
        return Path(source) / path / FILE
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(source, FILE, subfolder=path or None, revision=revision))
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError, OSError) as error:
        where = f"{path}/{FILE}" if path else FILE
        raise LedgerError(
            f"Coder {source!r} is neither a local folder nor is {where} of it reachable on the hub "
            f"({type(error).__name__}): correct `source` and `path`, or download it first."
        ) from error
