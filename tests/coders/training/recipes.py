"""Recipes of small coders, and the folders that they are trained from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tests.coders.shard_folders import from_model
from tests.tiny_models import neox_folder, packed_tokens

CONTEXT = 16
BASE = {"layer": 1, "width": 128, "k": 8, "seed": 3, "batch_tokens": 8 * CONTEXT}
SAE = BASE | {"architecture": "sae", "input_hook": "resid_post", "output_hook": "resid_post"}
TRANSCODER = BASE | {"architecture": "transcoder", "input_hook": "mlp_in", "output_hook": "mlp_out"}
SKIP = TRANSCODER | {"architecture": "skip-transcoder"}


def world_in(root: Path) -> dict[str, Path]:
    """A tiny NeoX, 50 batches and a half of tokens, and its activations in float32."""
    model = neox_folder(root / "model")
    tokens = packed_tokens(root / "tokens", contexts=50 * 8 + 4, context=CONTEXT)
    hook_points = ("layers.1.resid_post", "layers.1.mlp_in", "layers.1.mlp_out")
    return {"model": model, "tokens": tokens} | from_model(
        model, tokens, root / "acts", *hook_points
    )


def sides(world: dict[str, Path], settings: dict) -> dict[str, Path]:
    return {side: world[f"layers.1.{settings[side]}"] for side in ("input_hook", "output_hook")}


def losses_of(folder: Path, column: str = "fvu") -> np.ndarray:
    return pq.read_table(folder / "training.parquet").column(column).to_numpy()
