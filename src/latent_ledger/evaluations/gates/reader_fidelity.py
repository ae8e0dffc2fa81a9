"""Gate: our reader of a coder's folder is the library's own coder, before anything is encoded.

    sparsify's folder      coders/sparsify.py     against  sparsify.SparseCoder
    Gemma Scope's folder   coders/gemma_scope.py  against  SAELens' JumpReLU coders

The library's coder runs on the CPU, because sparsify's ``forward`` computes in bf16 on a GPU. See
:mod:`latent_ledger.evaluations.gates.fidelity` for what must agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latent_ledger.coders.formats.gemma_scope.loader import FILE, GemmaScopeCoder
from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.evaluations.gates import fidelity
from latent_ledger.evaluations.gates.fidelity import Other


def produce(
    settings: Mapping[str, Any], activations: Path, coder: Path, out: Path
) -> dict[str, Any]:
    """Compare on random and real activations; write ``metrics.json`` into `out`; return facts.

    `settings`: coder (its name), random_rows, real_rows, seed. `activations`: of the coder's read
    hook point. Raises :class:`~latent_ledger.lib.errors.GateError` if the two differ.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ours = load_coder(coder, device)
    name, theirs = library(coder)
    real = fidelity.real_rows(activations, ours, settings["real_rows"])
    random = fidelity.random_rows(real, settings["random_rows"], settings["seed"])
    agreements = {
        kind: fidelity.compare(ours, theirs, rows, device)
        for kind, rows in (("random", random), ("real", real))
    }
    fidelity.require(agreements, f"the reader of {ours.site} does not encode as {name} does.")
    return fidelity.write(agreements, {"coder": settings["coder"], "against": name}, out)


def library(folder: Path) -> tuple[str, Other]:
    """The coder in `folder` as the library it comes from has it: its name, and what it computes."""
    coder = load_coder(folder)
    if isinstance(coder, GemmaScopeCoder):
        return _saelens_jumprelu(Path(folder), coder)
    return _sparsify(Path(folder))


def _sparsify(folder: Path) -> tuple[str, Other]:
    from sparsify import SparseCoder  # seconds to import

    upstream = SparseCoder.load_from_disk(folder).float()

    def compute(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = upstream(x, x)  # the target only enters the losses, which nobody reads
        latents = torch.zeros(len(x), upstream.num_latents)
        return latents.scatter_(1, found.latent_indices, found.latent_acts), found.sae_out

    return "sparsify.SparseCoder", compute


def _saelens_jumprelu(folder: Path, coder: GemmaScopeCoder) -> tuple[str, Other]:
    from sae_lens import (  # seconds to import
        JumpReLUSAE,
        JumpReLUSAEConfig,
        JumpReLUTranscoder,
        JumpReLUTranscoderConfig,
    )

    sizes = {"d_in": coder.d_in, "d_sae": coder.width, "apply_b_dec_to_input": False}
    if coder.architecture == "sae":
        upstream = JumpReLUSAE(JumpReLUSAEConfig(**sizes))
    else:
        upstream = JumpReLUTranscoder(JumpReLUTranscoderConfig(**sizes, d_out=coder.d_in))
    with np.load(folder / FILE) as arrays:
        upstream.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    return f"sae_lens.{type(upstream).__name__}", lambda x: (upstream.encode(x), upstream(x))
