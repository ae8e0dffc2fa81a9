"""Gate of the SAELens adapter: a coder's SAELens object is the same coder.

The adapter (:mod:`latent_ledger.coders.saelens`) is compared with our loader, which has passed its
gate against the coder's library. The comparison covers SAELens' ``encode`` and ``forward``, which
adds the skip that ``decode`` omits.

A check that cannot fail shows nothing. Where a format has a wrong variant of its adapter, such as
``apply_b_dec_to_input=False`` for a sparsify SAE, the same check runs on it and must fail, unless
``b_dec`` is next to nothing (below :data:`SMALL_B_DEC` of a row's norm) and the gate reports that
the two variants are one function.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from sae_lens import SAE

from latent_ledger.coders.formats.site_file import read_site
from latent_ledger.coders.saelens import WrongVariant, to_saelens, wrong_variant
from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.evaluations.gates import fidelity
from latent_ledger.evaluations.gates.fidelity import Implementation
from latent_ledger.lib.errors import GateError
from latent_ledger.models.device import best_device

SMALL_B_DEC = 1e-3
"""Norm of ``b_dec``, relative to a median row's, below which subtracting it may change nothing."""


def produce(
    settings: Mapping[str, Any], activations: Path, coder: Path, out: Path
) -> dict[str, Any]:
    """Compare on random and real activations; write ``metrics.json`` into `out`; return facts.

    `settings`: coder (its name), random_rows, real_rows, seed. `activations`: of the coder's read
    hook point. Raises :class:`~latent_ledger.lib.errors.GateError` if the adapter differs, or if
    the wrong variant passes although ``b_dec`` is not small.
    """
    device = best_device()
    ours = load_coder(coder, device)
    adapted = to_saelens(coder, device=device)
    rows = fidelity.rows_by_kind(settings, activations, ours)
    agreements = fidelity.compare_kinds(ours, implementation(adapted, device), rows, device)
    name = f"sae_lens.{type(adapted).__name__}"
    source = f"coders/formats/{read_site(coder)[0]}/saelens.py"
    fidelity.require(agreements, f"{name} made by {source} does not encode as our loader does.")
    facts: dict[str, Any] = {"coder": settings["coder"], "against": name}
    if (wrong := wrong_variant(coder, device=device)) is not None:
        theirs = implementation(wrong.sae, device)
        wrong_agreements = fidelity.compare_kinds(ours, theirs, rows, device)
        facts["wrong_variant"] = judge_wrong_variant(wrong_agreements, wrong, rows["real"])
    return fidelity.write(agreements, facts, out)


def implementation(sae: SAE, device: str) -> Implementation:
    """A SAELens object in the form that :func:`fidelity.compare` takes."""
    return lambda x: (sae.encode(x.to(device)), sae(x.to(device)))


def judge_wrong_variant(
    agreements: Mapping[str, fidelity.Agreement], wrong: WrongVariant, real: torch.Tensor
) -> dict[str, Any]:
    """The outcome of the check on the wrong variant: whether it fails, and its Jaccards.

    Raises :class:`GateError` if it passes on some rows although ``b_dec`` matters.
    """
    size = float(wrong.b_dec.norm().cpu() / real.norm(dim=1).median())
    passed = [kind for kind, agreement in agreements.items() if agreement.failure is None]
    if passed and size >= SMALL_B_DEC:
        raise GateError(
            f"{fidelity.GATE}, the wrong variant ({wrong.option}) passes on "
            f"{' and '.join(passed)} activations although b_dec is {size:.2g} of a row's norm: "
            "this check cannot fail, so it shows nothing."
        )
    return {
        "option": wrong.option,
        "fails": not passed,
        "jaccard": {kind: round(agreement.jaccard, 4) for kind, agreement in agreements.items()},
        "b_dec_norm": float(f"{size:.2g}"),
    }
