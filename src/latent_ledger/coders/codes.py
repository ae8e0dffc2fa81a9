"""Sparse latents of a token set, computed once per coder and read by every evaluation.

One shard per activation shard, with the same rows (BOS and EOS included; consumers mask)::

    codes-00000.safetensors   indptr, indices, values as in :mod:`latent_ledger.coders.csr`
    meta.json                 {width, n_rows, shards: [rows, ...]}

Activations are brought to fp32 before they are encoded, in blocks of fixed size, so that equal
inputs give equal bytes.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file
from safetensors.torch import save_file
from scipy.sparse import csr_matrix, vstack
from torch import Tensor

from latent_ledger.coders.csr import Csr
from latent_ledger.coders.sparse_coder import SparseCoder, load_coder
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import full_disk_in_one_line, read_json, write_json
from latent_ledger.lib.progress import Progress
from latent_ledger.models.device import best_device
from latent_ledger.models.shards import ActivationShards

BLOCK_ROWS = 2048
"""Rows encoded at a time: pre-activations of 2048 x 16k latents take 128 MiB."""


def encode_rows(coder: SparseCoder, activations: Tensor, block_rows: int = BLOCK_ROWS) -> Csr:
    """Sparse latents, on the CPU, of activations [rows, d] of any float dtype."""
    blocks = [
        [tensor.cpu() for tensor in coder.encode(block.float())]
        for block in activations.split(block_rows)
    ]
    indptrs, indices, values = zip(*blocks, strict=True)
    counts = torch.cat([indptr.diff() for indptr in indptrs])
    return F.pad(counts.cumsum(0), (1, 0)), torch.cat(indices), torch.cat(values)


def produce(
    settings: Mapping[str, Any], activations: Path, coder: Path, out: Path
) -> dict[str, Any]:
    """Encode the activations of the coder's input hook into `out`.

    `settings` is empty: the codes follow from the two inputs. Returns facts: n_rows, mean_l0, and
    the numbers of latents that never fire here (dead) and that do (alive). Raises
    :class:`LedgerError` if the activations are of another hook point.
    """
    if settings:
        raise LedgerError(f"Codes have no settings, but got {', '.join(sorted(settings))}.")
    shards = ActivationShards(activations)
    device = best_device()
    loaded = load_coder(coder, device)
    if shards.hook_point != str(loaded.site.input_hook):
        raise LedgerError(
            f"The coder in {coder} reads {loaded.site.input_hook}; {activations} holds "
            f"{shards.hook_point}."
        )
    if shards.d != loaded.d_in:
        raise LedgerError(
            f"The coder in {coder} reads {loaded.d_in} dimensions; {activations} holds {shards.d}."
        )
    fired = torch.zeros(loaded.width, dtype=torch.int64)
    with Progress("encode", total=len(shards), unit="row") as progress:
        for number, shard in enumerate(shards.shards()):
            indptr, indices, values = encode_rows(loaded, shard["activations"])
            fired += torch.bincount(indices.long(), minlength=loaded.width)
            path = Path(out) / f"codes-{number:05d}.safetensors"
            with full_disk_in_one_line(path):
                save_file({"indptr": indptr, "indices": indices, "values": values}, path)
            progress.update(len(indptr) - 1)
    n_rows, dead = len(shards), int((fired == 0).sum())
    meta = {"width": loaded.width, "n_rows": n_rows, "shards": list(shards.shard_rows)}
    write_json(Path(out) / "meta.json", meta)
    return {
        "n_rows": n_rows,
        "mean_l0": int(fired.sum()) / n_rows,
        "dead": dead,
        "alive": loaded.width - dead,
    }


class CodeSource(Protocol):
    """Codes of a token set, shard by shard."""

    def shards(self) -> Iterator[csr_matrix]:
        """Every shard [rows, width], in token order."""


class CodeShards:
    """Reads a codes folder as scipy CSR matrices [rows, width], float32."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.meta: dict[str, Any] = read_json(self.folder / "meta.json")
        self.width: int = self.meta["width"]

    def __len__(self) -> int:
        """Rows of all shards."""
        return self.meta["n_rows"]

    def shard(self, number: int) -> csr_matrix:
        """The rows of one shard."""
        path = self.folder / f"codes-{number:05d}.safetensors"
        if not path.exists():
            raise LedgerError(f"{path} is missing: delete its folder and encode again.")
        parts = load_file(path)
        shape = (self.meta["shards"][number], self.width)
        return csr_matrix((parts["values"], parts["indices"], parts["indptr"]), shape=shape)

    def shards(self) -> Iterator[csr_matrix]:
        """Every shard, in token order."""
        yield from map(self.shard, range(len(self.meta["shards"])))

    def matrix(self) -> csr_matrix:
        """All rows at once: 8 bytes per active latent."""
        return vstack(list(self.shards()), format="csr", dtype=np.float32)
