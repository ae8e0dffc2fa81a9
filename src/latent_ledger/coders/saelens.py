"""Coders of every format as SAELens objects, with the same latents and the same output.

Each format has its own bridge, ``coders/formats/<format>/saelens.py``. The encode-fidelity gate
(:mod:`latent_ledger.evaluations.gates.saelens_fidelity`) measures whether the bridge is right. Only
evaluations that this gate blocks import this module, so that a corrected bridge leaves all codes
current.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from latent_ledger.coders.formats.site_file import read_site
from latent_ledger.coders.sparse_coder import load_coder

if TYPE_CHECKING:
    from types import ModuleType

    from sae_lens import SAE

    from latent_ledger.coders.formats.saelens_object import WrongVariant


def to_saelens(folder: Path, *, device: str = "cpu") -> SAE:
    """The coder in `folder` as an fp32 SAELens object on `device`.

    ``encode`` gives its latents [n, width] and ``forward`` its output [n, d]; ``decode`` omits the
    skip of a skip-transcoder. Raises :class:`~latent_ledger.lib.errors.LedgerError` as
    :func:`~latent_ledger.coders.sparse_coder.load_coder` does.
    """
    return _bridge(folder).to_saelens(load_coder(folder, device), device)


def wrong_variant(folder: Path, *, device: str = "cpu") -> WrongVariant | None:
    """The variant of the coder in `folder` that is known to be wrong; None if there is none."""
    return _bridge(folder).wrong_variant(load_coder(folder, device), device)


def _bridge(folder: Path) -> ModuleType:
    name, _ = read_site(folder)
    return import_module(f"latent_ledger.coders.formats.{name}.saelens")
