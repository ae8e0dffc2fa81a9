"""The registry of scorers: the description of each backend, for checks, plan, costs and ledger.

A backend is a folder with an entry, a client and, if it has settings of its own, their schema; the
folder is all that a new one needs. See ``docs/add-a-scorer.md``. Scoring by embeddings asks no
scorer: see :mod:`latent_ledger.scorers.embedding`.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from latent_ledger.lib.errors import LedgerError
from latent_ledger.scorers.kind import ScorerKind

SCORERS: dict[str, ScorerKind] = {
    path.parent.name: import_module(f"latent_ledger.scorers.{path.parent.name}.entry").KIND
    for path in sorted(Path(__file__).parent.glob("*/entry.py"))
}
"""Backend -> its description."""


def kind_of(settings: Mapping[str, Any]) -> ScorerKind:
    """The description of a scorer's backend; a :class:`LedgerError` names the known ones."""
    backend = settings["backend"]
    if backend not in SCORERS:
        raise LedgerError(
            f"The scorer backend {backend!r} is not known; known: {', '.join(SCORERS)}."
        )
    return SCORERS[backend]
