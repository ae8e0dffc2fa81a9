"""Gate of a loader: it gives the library's own coder, before anything is encoded.

    coders/formats/<format>/loader.py  against  coders/formats/<format>/reference.py

The library's coder runs on the CPU, because sparsify's ``forward`` computes in bf16 on a GPU. See
:mod:`latent_ledger.evaluations.gates.fidelity` for what must agree.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from latent_ledger.coders.formats.site_file import read_site
from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.evaluations.gates import fidelity
from latent_ledger.evaluations.gates.fidelity import Implementation
from latent_ledger.models.device import best_device


def produce(
    settings: Mapping[str, Any], activations: Path, coder: Path, out: Path
) -> dict[str, Any]:
    """Compare on random and real activations; write ``metrics.json`` into `out`; return facts.

    `settings`: coder (its name), random_rows, real_rows, seed. `activations`: of the coder's read
    hook point. Raises :class:`~latent_ledger.lib.errors.GateError` if the two differ.
    """
    device = best_device()
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


def library(folder: Path) -> tuple[str, Implementation]:
    """The name of the library that a coder comes from, and its implementation of the coder."""
    name, _ = read_site(folder)
    reference = import_module(f"latent_ledger.coders.formats.{name}.reference")
    return reference.library(Path(folder), load_coder(folder))
