"""The examples of every sampled latent, on disk and as delphi's records.

::

    latents.parquet        one row per requested latent: frequency, stratum, status
    examples.parquet       one row per example: latent, role, quantile, window
    examples.safetensors   tokens [examples, length] int32, activations [examples, length] float32
    vocabulary.parquet     the text of every token that occurs

Roles: ``train`` (for the explainer) and ``test`` fire; ``negative`` does not; ``matched`` is the
same window as a negative, with the activations of the positive whose marks it borrows. Windows are
numbered over the token set, so the later jobs need neither the token set nor the model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.numpy import load_file, save_file

from latent_ledger.evaluations.autointerp.delphi_io import (
    ActivatingExample,
    Latent,
    LatentRecord,
    NonActivatingExample,
    normalize_activations,
)
from latent_ledger.evaluations.autointerp.protocol import SCORABLE
from latent_ledger.lib.numbers import ROW_GROUP

FIRING = ("train", "test")
"""Roles of the examples in which the latent fires."""
LATENTS, VOCABULARY = "latents.parquet", "vocabulary.parquet"
EXAMPLES, ARRAYS = "examples.parquet", "examples.safetensors"


@dataclass(frozen=True)
class Examples:
    """One latent's examples of one role, before they are written: [n, length] each, or [n]."""

    latent: int
    role: str
    tokens: np.ndarray
    activations: np.ndarray
    windows: np.ndarray
    quantiles: np.ndarray


def write(
    out: Path, latents: Mapping[str, Any], examples: list[Examples], text: Mapping[int, str]
) -> None:
    """Write the payload; `latents` are the columns of ``latents.parquet``, `text` by token id."""
    out = Path(out)
    table(out / LATENTS, pa.table(dict(latents)))
    sizes = np.array([len(group.windows) for group in examples], np.int64)
    columns = {
        "latent": np.repeat(np.array([group.latent for group in examples], np.int64), sizes),
        "role": np.repeat(np.array([group.role for group in examples], dtype=object), sizes),
        "quantile": _stack([group.quantiles for group in examples], np.int64),
        "window": _stack([group.windows for group in examples], np.int64),
    }
    table(out / EXAMPLES, pa.table(columns))
    arrays = {
        "tokens": _stack([group.tokens for group in examples], np.int32),
        "activations": _stack([group.activations for group in examples], np.float32),
    }
    save_file(arrays, out / ARRAYS)
    ids = np.unique(arrays["tokens"]).astype(np.int64)
    texts = pa.array([text[token] for token in ids.tolist()], pa.string())
    table(out / VOCABULARY, pa.table({"token_id": ids, "text": texts}))


def table(path: Path, content: pa.Table) -> None:
    """Write a table as Parquet, equal content to equal bytes."""
    pq.write_table(content, path, compression="zstd", row_group_size=ROW_GROUP)


def _stack(arrays: list[np.ndarray], dtype: Any) -> np.ndarray:
    """Concatenate arrays; none give an empty array."""
    return np.concatenate(arrays).astype(dtype) if arrays else np.empty(0, dtype)


@dataclass(frozen=True)
class Scorable:
    """One latent for delphi's scorers: their record, and the position-matched negatives.

    `rows` maps the identity of an example's `str_tokens` list, which delphi passes through its
    samples, to the row of ``examples.parquet``.
    """

    record: LatentRecord
    matched: list[NonActivatingExample]
    rows: dict[int, int]

    @property
    def latent(self) -> int:
        return self.record.latent.latent_index

    def explained(self, explanation: str) -> Scorable:
        """The same latent with an explanation."""
        return replace(self, record=replace(self.record, explanation=explanation))

    def with_matched(self) -> LatentRecord:
        """The record whose negatives borrow a positive's marks."""
        return replace(self.record, not_active=self.matched)


def read(folder: Path) -> list[Scorable]:
    """Every scorable latent of a payload, ascending."""
    folder = Path(folder)
    latents = pq.read_table(folder / LATENTS).to_pylist()
    examples = pq.read_table(folder / EXAMPLES)
    latent, quantile, role = (examples[name].to_numpy() for name in ("latent", "quantile", "role"))
    arrays = itemgetter("tokens", "activations")(load_file(folder / ARRAYS))
    vocabulary = pq.read_table(folder / VOCABULARY).to_pydict()
    text = dict(zip(vocabulary["token_id"], vocabulary["text"], strict=True))
    scorable = []
    for row in latents:
        if row["status"] != SCORABLE:
            continue
        by_role: dict[str, list] = defaultdict(list)
        rows = {}
        for number in np.flatnonzero(latent == row["latent"]).tolist():
            ids, values = (torch.from_numpy(array[number].copy()) for array in arrays)
            texts = [text[token] for token in ids.tolist()]
            rows[id(texts)] = number
            by_role[role[number]].append(
                ActivatingExample(ids, values, str_tokens=texts, quantile=int(quantile[number]))
                if role[number] in FIRING
                else NonActivatingExample(ids, values, str_tokens=texts, distance=-1.0)
            )
        for name in FIRING:
            normalize_activations(by_role[name], row["max_activation"])
        record = LatentRecord(
            Latent("", row["latent"]),
            not_active=by_role["negative"],
            train=by_role["train"],
            test=by_role["test"],
            per_token_frequency=row["frequency"],
        )
        scorable.append(Scorable(record, by_role["matched"], rows))
    return scorable
