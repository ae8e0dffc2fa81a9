"""The loader of sparsify's coders (``cfg.json`` + ``sae.safetensors``).

An SAE encodes ``top_k(relu(W_enc (x - b_dec) + b_enc))``; a transcoder does not subtract ``b_dec``,
which lives at its output; a skip-transcoder adds ``W_skip x`` to what it decodes. Everything runs
in fp32: bf16 alone changes about 1% of the active set.

Reading a coder takes torch alone. Importing sparsify loads its trainer and, with it, all of
transformers, datasets and torch.distributed: seconds in each of the many jobs that only encode. The
arithmetic is therefore written out here, and tested to equal ``SparseCoder``'s for every
architecture.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from latent_ledger.coders.top_k import top_k
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json, write_json
from latent_ledger.models.hook_points import CoderSite

if TYPE_CHECKING:
    from sparsify import SparseCoder


def architecture_of(cfg: Mapping[str, Any]) -> str:
    """ "sae", "transcoder" or "skip-transcoder", from a ``cfg.json``."""
    if not cfg.get("transcode"):
        return "sae"
    return "skip-transcoder" if cfg.get("skip_connection") else "transcoder"


def check_site(architecture: str, site: CoderSite) -> None:
    """An SAE reads and writes one hook point, a transcoder two; else raise :class:`LedgerError`."""
    if (architecture == "sae") != site.autoencodes:
        wanted = (
            "the hook point it reads"
            if architecture == "sae"
            else "another hook point than it reads"
        )
        raise LedgerError(
            f"Coder at {site}: {architecture} must write {wanted}; correct `output_hook`."
        )


class SparsifyCoder:
    """A trained TopK coder at a hook point; see :class:`latent_ledger.coders.sparse_coder.Coder`.

    `weights` are named as in ``sae.safetensors``: ``encoder.weight`` and ``W_dec`` [width, d],
    ``encoder.bias`` [width], ``b_dec`` [d] and, for a skip-transcoder, ``W_skip`` [d, d].
    """

    def __init__(
        self, cfg: Mapping[str, Any], weights: Mapping[str, Tensor], site: CoderSite
    ) -> None:
        self.cfg, self.site, self.architecture = cfg, site, architecture_of(cfg)
        self.weights = {name: value.float() for name, value in weights.items()}
        self.width, self.d_in = self.weights["encoder.weight"].shape
        self.k = int(cfg["k"])
        if cfg.get("activation", "topk") != "topk":
            raise LedgerError(
                f"Coder at {site}: only the activation topk is read, not {cfg['activation']!r}; "
                "add it to coders/sparsify.py."
            )
        check_site(self.architecture, site)

    @torch.no_grad()
    def encode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x [n, d_in] -> CSR latents (indptr [n + 1], indices [nnz], values [nnz] > 0)."""
        weights = self.weights
        x = x.to(weights["b_dec"])
        if self.architecture == "sae":
            x = x - weights["b_dec"]
        pre_acts = F.relu(F.linear(x, weights["encoder.weight"], weights["encoder.bias"]))
        acts, indices = top_k(pre_acts, self.k)
        indices, order = indices.sort(dim=1)
        acts = acts.gather(1, order)
        active = acts > 0  # a row with fewer than k positive latents is filled up with zeros
        indptr = F.pad(active.sum(1).cumsum(0), (1, 0))
        return indptr, indices[active].int(), acts[active]

    @torch.no_grad()
    def decode(self, indptr: Tensor, indices: Tensor, values: Tensor, x: Tensor) -> Tensor:
        """CSR latents and the coder's input x [n, d_in] -> output [n, d_in]."""
        weights = self.weights
        y = weights["b_dec"] + F.embedding_bag(
            indices.long(),
            weights["W_dec"],
            indptr,
            mode="sum",
            per_sample_weights=values,
            include_last_offset=True,
        )
        if "W_skip" in weights:
            y += x.to(weights["W_skip"]) @ weights["W_skip"].mT
        return y

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


def produce_pretrained(settings: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write a pretrained sparsify coder, in fp32 and with its site, into `out`.

    `settings`: source (a local folder or a hub id), revision and hookpoint (a subfolder; both may
    be absent), layer, reads, writes. Returns facts: architecture, d_in, width, k. Transcoders
    trained by sparsify before February 2025 subtracted ``b_dec`` from their input; their files do
    not say so, and the encode-fidelity gate is what finds them.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    from sparsify import SparseCoder

    source, hookpoint = settings["source"], settings.get("hookpoint") or ""
    folder = Path(source)
    if not folder.is_dir():
        try:
            folder = Path(
                snapshot_download(
                    source,
                    revision=settings.get("revision"),
                    allow_patterns=f"{hookpoint}/*" if hookpoint else None,
                )
            )
        except (HfHubHTTPError, LocalEntryNotFoundError, ValueError, OSError) as error:
            raise LedgerError(
                f"Coder {source!r} is neither a local folder nor reachable on the hub "
                f"({type(error).__name__}): correct `source`, or download it first."
            ) from error
    site = CoderSite.at(settings["layer"], settings["input_hook"], settings.get("output_hook"))
    coder = load(folder / hookpoint, site)
    save(SparseCoder.load_from_disk(folder / hookpoint).float(), site, out)
    return {
        "architecture": coder.architecture,
        "d_in": coder.d_in,
        "width": coder.width,
        "k": coder.k,
    }


def save(coder: SparseCoder, site: CoderSite, out: Path) -> None:
    """Write ``cfg.json``, ``sae.safetensors`` and ``site.json``; equal coders give equal bytes."""
    coder.save_to_disk(out)
    write_json(Path(out) / "site.json", site.as_dict())
