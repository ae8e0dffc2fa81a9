"""Coders and labelled activations on disk, small enough to count by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file

from latent_ledger.coders.formats.site_file import write_site
from latent_ledger.lib.files import write_json
from latent_ledger.models.hook_points import CoderSite
from tests.coders.shard_folders import token_meta, write_activations
from tests.tiny_models import BOS, PAD, byte_tokenizer

SITES = {
    "sae": CoderSite.at(1, "resid_post"),
    "transcoder": CoderSite.at(1, "mlp_in", "mlp_out"),
    "skip-transcoder": CoderSite.at(1, "mlp_in", "mlp_out"),
}


def coder_folder(
    folder: Path, architecture: str, *, d: int = 32, width: int = 64, k: int = 8
) -> Path:
    """A random sparsify coder, in the files sparsify writes."""
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "encoder.weight": (width, d),
        "encoder.bias": (width,),
        "W_dec": (width, d),
        "b_dec": (d,),
    }
    if architecture == "skip-transcoder":
        shapes["W_skip"] = (d, d)
    weights = {name: torch.randn(shape, generator=generator) / 4 for name, shape in shapes.items()}
    weights["b_dec"] *= 4  # large enough that subtracting it or not makes a difference
    folder.mkdir(parents=True)
    save_file(weights, folder / "sae.safetensors")
    cfg = {
        "activation": "topk",
        "num_latents": width,
        "k": k,
        "d_in": d,
        "transcode": architecture != "sae",
        "skip_connection": architecture == "skip-transcoder",
    }
    write_json(folder / "cfg.json", cfg)
    write_site(folder, "sparsify", SITES[architecture])
    return folder


class Identity:
    """A SAELens-like coder whose latents are the positive dimensions themselves."""

    device, dtype = "cpu", torch.float32

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """relu(x)."""
        return torch.relu(x)


def labelled(
    folder: Path,
    ids: torch.Tensor,
    values: torch.Tensor,
    classes: Mapping[str, tuple[list[int], list[int]]],
) -> tuple[Path, Path]:
    """Token set and activations of labelled texts: (tokens, raw) folders.

    `ids` [texts, context] and `values` [texts, context, d]; `classes`: name -> rows of its
    positives in train and test.
    """
    tokens, raw = folder / "tokens", folder / "raw"
    tokens.mkdir(parents=True)
    rows = [
        {"doc_id": row, "concept": name, "label": 1, "split": split, "sha256": f"{row:064x}"}
        for name, parts in classes.items()
        for split, part in zip(("train", "test"), parts, strict=True)
        for row in part
    ]
    pq.write_table(pa.Table.from_pylist(rows), tokens / "documents.parquet")
    meta = token_meta(*ids.shape)
    write_json(tokens / "meta.json", meta)
    write_activations(raw, "layers.1.resid_post", values, ids, per_shard=37, tokens=meta)
    return tokens, raw


def split_rows(names: list[str], train: int, test: int) -> dict[str, tuple[list[int], list[int]]]:
    """Consecutive rows for every class: `train` of them, then `test`."""
    size = train + test
    return {
        name: (
            list(range(number * size, number * size + train)),
            list(range(number * size + train, (number + 1) * size)),
        )
        for number, name in enumerate(names)
    }


def random_ids(texts: int, context: int = 12, seed: int = 0) -> torch.Tensor:
    """BOS, some random letters, padding: [texts, context]."""
    rng = np.random.default_rng(seed)
    letters = byte_tokenizer()("abcdefghijklmnopqrstuvwxyz")["input_ids"]
    ids = rng.choice(letters, (texts, context))
    ids[:, 0] = BOS
    ids[np.arange(context) >= rng.integers(6, context + 1, texts)[:, None]] = PAD
    return torch.from_numpy(ids)
