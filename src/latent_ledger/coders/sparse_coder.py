"""Sparse coders of every format behind one interface.

    coder folder --site.json: format, site--> coders/formats/<format>/loader.py --> SparseCoder

A coder folder holds the weights as their publisher wrote them, and ``site.json`` with the coder's
format and hook points. This module imports nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from latent_ledger.coders.formats.site_file import read_site
from latent_ledger.models.hook_points import CoderSite

if TYPE_CHECKING:
    from torch import Tensor

    from latent_ledger.coders.csr import Csr


class LatentDecoder(Protocol):
    """The half of a coder that maps latents to an output."""

    width: int
    """Number of latents."""

    def decode(self, indptr: Tensor, indices: Tensor, values: Tensor, x: Tensor) -> Tensor:
        """Output [n, d] of latents as in :mod:`latent_ledger.coders.csr`; a skip reads `x`."""


class SparseCoder(LatentDecoder, Protocol):
    """A trained coder at its site, the base of every format's coder.

    ``encode`` selects some of the pre-activations, by a rule of the architecture. An active
    latent's value is its encoder row times the input, and a bias. All tensors are fp32 on the
    coder's device.
    """

    site: CoderSite
    """Where it reads its input and where its output belongs."""
    architecture: str
    """Name of its architecture, as in the configuration."""
    d_in: int
    """Size of the activations it reads."""
    k: int | None
    """Most latents that are active on a row; None where only thresholds limit them."""
    encoder: Tensor
    """Encoder rows [width, d_in]."""
    decoder: Tensor
    """Decoder rows [width, d]."""

    def encode(self, x: Tensor) -> Csr:
        """Sparse latents (indptr, indices, values) of activations `x` [n, d_in]."""

    def reconstruct(self, x: Tensor) -> Tensor:
        """The output [n, d] of `x` [n, d_in]."""
        return self.decode(*self.encode(x), x)

    def pre_activations(self, x: Tensor) -> Tensor:
        """Rectified pre-activations [n, width] of `x` [n, d_in]: what ``encode`` selects from."""

    def boundary(self, latents: Tensor) -> Tensor:
        """Pre-activation below which a latent is silent, [n, 1] by row or [width] by latent.

        `latents` [n, width] are the coder's own dense latents of these rows, on any device.
        """

    def encoder_rows(self, latents: Tensor | None = None) -> Tensor:
        """Encoder rows [n, d_in] of the `latents` [n] (int64), or of all of them [width, d_in]."""
        return self.encoder if latents is None else self.encoder[latents]

    def decoder_rows(self, latents: Tensor | None = None) -> Tensor:
        """Decoder rows [n, d] of the `latents` [n] (int64), or of all of them [width, d]."""
        return self.decoder if latents is None else self.decoder[latents]


def load_coder(folder: Path, device: str = "cpu") -> SparseCoder:
    """Load the coder in `folder`, with the loader of its format alone.

    Raises :class:`~latent_ledger.lib.errors.LedgerError` if its ``site.json`` does not say its site
    and a known format, or if its files are not of that format.
    """
    name, site = read_site(folder)
    loader = import_module(f"latent_ledger.coders.formats.{name}.loader")
    return loader.load(Path(folder), site, device)
