"""Activations on disk: one folder per hook point, memory-mapped safetensors shards in token order.

::

    acts-00000.safetensors   activations [rows, d]      float16 | bfloat16 | float32
                             token_ids   [rows] int32
                             positions   [rows] int32   (0 = BOS)
                             doc_ids     [rows] int32   (-1 = no document: BOS, EOS)
                             contexts    [rows] int32   (row of the token set)
    acts-00001.safetensors   ...
    meta.json                {hook point, d, n_rows, dtype, shards: [rows, ...], tokens, parity}

A row is one non-padding position; concatenated shards give token order. All hook points of one
token set share their shard boundaries, so row `i` of two hook points is the same token.
"""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json, written_aside
from latent_ledger.models.hook_points import HookPoint

SIDE_COLUMNS = ("token_ids", "positions", "doc_ids", "contexts")
COLUMNS = ("activations", *SIDE_COLUMNS)
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def dtype_named(name: str) -> torch.dtype:
    """The torch dtype of a setting. Raises :class:`LedgerError` for one no shard can hold."""
    if name not in DTYPES:
        raise LedgerError(f"dtype {name!r} is not known here: write one of {', '.join(DTYPES)}.")
    return DTYPES[name]


def shard_name(index: int) -> str:
    """File name of shard `index`."""
    return f"acts-{index:05d}.safetensors"


def write_shard(path: Path, columns: Mapping[str, torch.Tensor]) -> None:
    """Write one shard aside, flush it to the disk, then rename: `path` is whole or absent."""
    with written_aside(path) as aside:
        try:
            save_file(dict(columns), aside)
        except SafetensorError as error:
            if "os error 28" not in str(error) and "os error 122" not in str(error):
                raise
            raise OSError(28, "No space left on device") from error  # one line, as elsewhere


def map_shard(path: Path, rows: int, d: int) -> dict[str, torch.Tensor]:
    """Memory-map one shard of `rows` rows of width `d`: bytes are read when they are used.

    Raises :class:`LedgerError` for a file that is missing, torn or of other shapes.
    """
    try:
        with safe_open(path, framework="pt") as shard:
            columns = {name: shard.get_tensor(name) for name in sorted(shard.keys())}
    except FileNotFoundError:
        raise LedgerError(f"{path} is missing: delete its folder and capture again.") from None
    except SafetensorError as error:
        raise LedgerError(
            f"{path} is no whole safetensors file ({error}): delete its folder and capture again."
        ) from None
    shapes = {name: tuple(column.shape) for name, column in columns.items()}
    if shapes != {"activations": (rows, d), **dict.fromkeys(SIDE_COLUMNS, (rows,))}:
        raise LedgerError(
            f"{path} holds {shapes}, but meta.json promises {rows} rows of width {d}: delete its "
            "folder and capture again."
        )
    return columns


class ShardBuffer:
    """The rows of one hook point in the current shard, in the stored dtype, on the CPU."""

    def __init__(
        self, hook_point: HookPoint, rows: int, d: int, dtype: torch.dtype, pinned: bool
    ) -> None:
        """`pinned` memory lets a GPU's copies overlap its next batch."""
        self.hook_point, self.filled = hook_point, 0
        self.rows = torch.empty((rows, d), dtype=dtype, pin_memory=pinned)
        self.largest: torch.Tensor | None = None

    def put(self, rows: torch.Tensor) -> None:
        """Append rows [n, d] of the model's dtype."""
        end = self.filled + len(rows)
        self.rows[self.filled : end].copy_(rows, non_blocking=True)
        self.filled = end
        low, high = torch.aminmax(rows)
        largest = torch.maximum(-low, high)  # stays on the device: one synchronisation per shard
        self.largest = largest if self.largest is None else torch.maximum(self.largest, largest)

    def finish(self) -> torch.Tensor:
        """The shard's rows. Raises :class:`LedgerError` if the stored dtype cannot hold them."""
        rows, largest = self.rows[: self.filled], float(cast(torch.Tensor, self.largest))
        if not np.isfinite(largest):
            raise LedgerError(
                f"{self.hook_point}: the model computes infinite or undefined values there."
            )
        limits = torch.finfo(rows.dtype)
        if largest > limits.max:
            raise LedgerError(
                f"{self.hook_point}: a value of {largest:.3g} overflows {limits.dtype} "
                f"(at most {limits.max:,.0f}): use bfloat16."
            )
        if self.rows.is_pinned():
            torch.cuda.synchronize()
        self.filled, self.largest = 0, None  # what is put next starts another shard
        return rows


class ActivationShards:
    """Activations of one hook point, read by row; memory is bounded by what is asked."""

    KEPT_MAPPED = 8
    """Shards that stay memory-mapped between reads; the others are mapped anew (about 0.1 ms)."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.meta: dict = read_json(self.folder / "meta.json")
        self.hook_point: str = self.meta["hook_point"]
        self.d: int = self.meta["d"]
        self.shard_rows: list[int] = self.meta["shards"]
        self.starts = np.concatenate([[0], np.cumsum(self.shard_rows)]).astype(np.int64)
        self.shard = functools.lru_cache(self.KEPT_MAPPED)(self._map)

    def __len__(self) -> int:
        """Rows, that is non-padding positions (BOS and EOS included)."""
        return int(self.starts[-1])

    def _map(self, index: int) -> dict[str, torch.Tensor]:
        return map_shard(self.folder / shard_name(index), self.shard_rows[index], self.d)

    def shards(self) -> Iterator[dict[str, torch.Tensor]]:
        """Every shard in token order, as a dict of the columns in :data:`COLUMNS`."""
        for index in range(len(self.shard_rows)):
            yield self.shard(index)

    def read(self, lo: int, hi: int) -> dict[str, torch.Tensor]:
        """Rows ``lo <= row < hi`` of every column, in the stored dtype; they may span shards.

        ``activations`` is [hi - lo, d], the others are [hi - lo]. Within one shard the tensors are
        views of the file. Raises :class:`LedgerError` if the rows do not exist.
        """
        if not 0 <= lo <= hi <= len(self):
            raise LedgerError(f"{self.folder} has rows 0 to {len(self)}; {lo} to {hi} was asked.")
        first = int(np.searchsorted(self.starts[1:-1], lo, side="right"))
        last = max(int(np.searchsorted(self.starts[:-1], hi, side="left")), first + 1)
        parts = []
        for index, start in enumerate(self.starts[first:last].tolist(), first):
            columns = self.shard(index)
            parts.append({c: columns[c][max(lo - start, 0) : hi - start] for c in COLUMNS})
        if len(parts) == 1:
            return parts[0]
        return {c: torch.cat([part[c] for part in parts]) for c in COLUMNS}

    def context_starts(self) -> np.ndarray:
        """The first row of every context, then the number of rows: [n_contexts + 1] int64."""
        positions = torch.cat([shard["positions"] for shard in self.shards()]).numpy()
        return np.append(np.flatnonzero(positions == 0), len(self)).astype(np.int64)
