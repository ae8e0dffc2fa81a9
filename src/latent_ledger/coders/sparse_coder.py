"""Sparse coders of every origin behind one small interface.

A coder folder holds the weights in the format of the library they come from, and ``site.json``
with the hook point and, if it is not sparsify's, the format. :func:`load_coder` looks the format up
in :data:`FORMATS`, whose entry imports only that one module, so this package imports nothing heavy.
A new format is one module with a ``load(folder, site, device)`` function, its entry here, and its
test.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.models.hook_points import CoderSite

if TYPE_CHECKING:
    from torch import Tensor


class Coder(Protocol):
    """What every evaluation needs of a sparse coder. All tensors are fp32 on the coder's device.

    Sparse latents of ``n`` rows travel in CSR form: ``indptr`` int64 [n + 1], ``indices`` int32
    [nnz] ascending within a row, ``values`` float32 [nnz], all of them > 0.
    """

    site: CoderSite
    architecture: str  # "sae" | "transcoder" | "skip-transcoder"
    d_in: int
    width: int

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sparse latents (indptr, indices, values) of activations ``x`` [n, d_in]."""

    def decode(self, indptr: Tensor, indices: Tensor, values: Tensor, x: Tensor) -> Tensor:
        """Output [n, d_in] at ``site.output_hook``; a skip connection reads ``x``, the coder's
        input.
        """

    def reconstruct(self, x: Tensor) -> Tensor:
        """``decode(*encode(x), x)``: [n, d_in] -> [n, d_in]."""


def _sparsify(folder: Path, site: CoderSite, device: str) -> Coder:
    from latent_ledger.coders.formats.sparsify import loader as sparsify

    return sparsify.load(folder, site, device)


def _gemma_scope(folder: Path, site: CoderSite, device: str) -> Coder:
    from latent_ledger.coders.formats.gemma_scope import loader as gemma_scope

    return gemma_scope.load(folder, site, device)


FORMATS: dict[str, Callable[[Path, CoderSite, str], Coder]] = {
    "sparsify": _sparsify,
    "gemma_scope": _gemma_scope,
}
"""Format name -> loader. Each imports its module by name, so that the code digest sees it."""


def load_coder(folder: Path, device: str = "cpu") -> Coder:
    """Load the coder in `folder`. Raises :class:`LedgerError` if it has no usable site."""
    folder = Path(folder)
    record = read_json(folder / "site.json")
    name = record.get("format", "sparsify")
    if name not in FORMATS:
        raise LedgerError(
            f"{folder / 'site.json'}: unknown coder format {name!r}; known: {', '.join(FORMATS)}."
        )
    if missing := {"layer", "input_hook", "output_hook"} - set(record):
        raise LedgerError(f"{folder / 'site.json'} lacks {', '.join(sorted(missing))}.")
    return FORMATS[name](folder, CoderSite.from_dict(record), device)
