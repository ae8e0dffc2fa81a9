"""Coder folders with random weights, written without the libraries they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from latent_ledger.coders.formats.site_file import write_site
from latent_ledger.lib.files import write_json
from latent_ledger.models.hook_points import CoderSite

SITES = {
    "sae": CoderSite.at(1, "resid_post"),
    "transcoder": CoderSite.at(1, "mlp_in", "mlp_out"),
    "skip-transcoder": CoderSite.at(1, "mlp_in", "mlp_out"),
}
D, WIDTH, K = 16, 64, 5


def sparsify_folder(folder: Path, architecture: str, *, dtype: torch.dtype = torch.float32) -> Path:
    """What ``SparseCoder.save_to_disk`` writes, and the site."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return (torch.randn(shape, generator=generator) / 2).to(dtype)

    weights = {
        "encoder.weight": drawn(WIDTH, D),
        "encoder.bias": drawn(WIDTH),
        "W_dec": drawn(WIDTH, D),
        "b_dec": drawn(D),
    }
    if architecture == "skip-transcoder":
        weights["W_skip"] = drawn(D, D)
    save_file(weights, folder / "sae.safetensors")
    cfg = {"num_latents": WIDTH, "k": K, "d_in": D, "activation": "topk"}
    cfg |= {
        "transcode": architecture != "sae",
        "skip_connection": architecture == "skip-transcoder",
    }
    write_json(folder / "cfg.json", cfg)
    write_site(folder, "sparsify", SITES[architecture])
    return folder


def gemma_scope_arrays() -> dict[str, np.ndarray]:
    """The arrays of a ``params.npz``; every second threshold is far above zero."""
    rng = np.random.default_rng(0)
    arrays = {
        "W_enc": rng.normal(size=(D, WIDTH)),
        "W_dec": rng.normal(size=(WIDTH, D)),
        "b_enc": rng.normal(size=WIDTH),
        "b_dec": rng.normal(size=D),
        "threshold": np.where(np.arange(WIDTH) % 2, 3.0, 0.1),
    }
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def gemma_scope_folder(folder: Path, architecture: str = "sae") -> Path:
    """A Gemma Scope coder as this project stores it."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "params.npz", **gemma_scope_arrays())
    write_site(folder, "gemma_scope", SITES[architecture])
    return folder
