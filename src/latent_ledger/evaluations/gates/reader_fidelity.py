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
    name, _ = read_site(coder)
    reference = import_module(f"latent_ledger.coders.formats.{name}.reference")
    library, theirs = reference.library(Path(coder), load_coder(coder))
    rows = fidelity.rows_by_kind(settings, activations, ours)
    agreements = fidelity.compare_kinds(ours, theirs, rows, device)
    fidelity.require(agreements, f"the reader of {ours.site} does not encode as {library} does.")
    return fidelity.write(agreements, {"coder": settings["coder"], "against": library}, out)
