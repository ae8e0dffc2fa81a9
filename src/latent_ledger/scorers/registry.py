"""The registry of scorers: the description of each backend, for checks, plan, costs and ledger.

A new backend is a folder with an entry and a client, one import and one entry here, and its name in
the schema; see ``docs/add-a-scorer.md``. Scoring by embeddings asks no scorer: see
:mod:`latent_ledger.scorers.embedding`.
"""

from collections.abc import Mapping
from typing import Any

from latent_ledger.lib.errors import LedgerError
from latent_ledger.scorers.kind import ScorerKind
from latent_ledger.scorers.lexical.entry import KIND as LEXICAL
from latent_ledger.scorers.openai.entry import KIND as OPENAI
from latent_ledger.scorers.vllm.entry import KIND as VLLM

SCORERS = {kind.name: kind for kind in (LEXICAL, OPENAI, VLLM)}
"""Backend -> its description."""


def kind_of(settings: Mapping[str, Any]) -> ScorerKind:
    """The description of a scorer's backend; a :class:`LedgerError` names the known ones."""
    backend = settings["backend"]
    if backend not in SCORERS:
        raise LedgerError(
            f"The scorer backend {backend!r} is not known; known: {', '.join(SCORERS)}."
        )
    return SCORERS[backend]
