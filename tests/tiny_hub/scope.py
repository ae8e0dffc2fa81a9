"""Tiny Gemma Scope coders that really rebuild the tiny model's residual stream.

Fitted without a gradient: the encoder's columns are directions of single tokens' residuals in
whitened coordinates, a latent's threshold is a quantile of what it sees, and the decoder is the
least-squares answer. So latents are sparse, rates differ, and much of the variance is explained.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latent_ledger.models import hooks
from latent_ledger.models.hook_points import CoderSite

COMMON = {5: "average_l0_68", 12: "average_l0_82", 19: "average_l0_73"}
"""Layer -> the canonical coder of 16k latents that this one lies in the place of."""
LATENTS = 256
RATES = (0.01, 0.2)
"""How often the rarest and the most frequent latent fire on the rows they are fitted on."""
RIDGE = 1e-2


def write(folder: Path, model, input_ids: Tensor) -> None:
    """Fit one coder per layer of :data:`COMMON` on `input_ids` [contexts, position]; write them."""
    sites = {layer: CoderSite.at(layer, "resid_post").input_hook for layer in COMMON}
    values = hooks.read(model, input_ids, sites.values())
    for layer, name in COMMON.items():
        rows = values[sites[layer]][:, 1:].float().flatten(0, 1)  # BOS is no ordinary position
        target = folder / f"layer_{layer}" / "width_16k" / name / "params.npz"
        target.parent.mkdir(parents=True)
        arrays = {key: value.numpy() for key, value in fit(rows, seed=layer).items()}
        np.savez(target, **arrays)


def fit(rows: Tensor, seed: int) -> dict[str, Tensor]:
    """The arrays of a JumpReLU coder of `rows` [n, d]."""
    generator = torch.Generator().manual_seed(seed)
    mean, (_, scale, axes) = (
        rows.mean(0),
        torch.linalg.svd(rows - rows.mean(0), full_matrices=False),
    )
    whiten = axes.T * (len(rows) ** 0.5 / scale.clamp(min=1e-6))  # [d, d]
    drawn = rows[torch.randperm(len(rows), generator=generator)[:LATENTS]]
    directions = torch.nn.functional.normalize((drawn - mean) @ whiten, dim=1)
    encoder = whiten @ directions.T  # [d, latents]
    bias = -mean @ encoder
    seen = rows @ encoder + bias
    rates = torch.logspace(*np.log10(RATES), LATENTS)
    order = seen.sort(0, descending=True).values
    threshold = order[(rates * len(rows)).long(), torch.arange(LATENTS)].clamp(min=0)
    latents = torch.where(seen > threshold, seen, 0)
    gram = latents.T @ latents / len(rows) + RIDGE * torch.eye(LATENTS)
    decoder = torch.linalg.solve(gram, latents.T @ (rows - mean) / len(rows))  # [latents, d]
    # Published decoders have unit rows; the size goes into the encoder's side.
    size = decoder.norm(dim=1).clamp(min=1e-6)
    return {
        "W_enc": encoder * size,
        "b_enc": bias * size,
        "threshold": threshold * size,
        "W_dec": decoder / size[:, None],
        "b_dec": mean,
    }
