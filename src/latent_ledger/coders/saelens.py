"""Coders of every format as SAELens objects, with the same latents and the same output.

Each format has its own bridge, ``coders/formats/<format>/saelens.py``, made of the parts below.
Everything is fp32, and nothing is normalised: neither the input, nor the latents by the decoder's
norms. The encode-fidelity gate (:mod:`latent_ledger.evaluations.gates.saelens_fidelity`) measures
whether the bridge is right. Only evaluations that this gate blocks import this module, so that a
corrected bridge leaves all codes current.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from sae_lens import SAE
from sae_lens.saes.sae import SAEMetadata
from torch import Tensor

from latent_ledger.coders.formats.site_file import read_site
from latent_ledger.coders.sparse_coder import SparseCoder, load_coder


@dataclass(frozen=True)
class WrongVariant:
    """A SAELens object that is known to be another coder, which the gate must see fail.

    `option` is the SAELens option that is wrong, as a person writes it. `b_dec` [d] is what the
    option leaves out of the input; where it is next to nothing the two variants are one function.
    """

    sae: SAE
    option: str
    b_dec: Tensor


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


def sizes(coder: SparseCoder) -> dict[str, Any]:
    """Keys of every SAELens configuration; "meta" saves drawing weights that are replaced."""
    hooks = {"hook_name": str(coder.site.input_hook), "hook_name_out": str(coder.site.output_hook)}
    return {
        "d_in": coder.d_in,
        "d_sae": coder.width,
        "dtype": "float32",
        "device": "meta",
        "normalize_activations": "none",
        "metadata": SAEMetadata(**hooks),
    }


def filled(sae: SAE, weights: Mapping[str, Tensor], device: str) -> SAE:
    """`sae` with these weights and no others, on `device`."""
    sae.load_state_dict(dict(weights), assign=True)
    return sae.to(device=device).eval()
