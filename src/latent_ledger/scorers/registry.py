"""The registry of scorers: which backends there are, and the client of each.

::

    prompt (delphi's own messages) --client.generate--> Response(text, logprobs)

A new backend is a folder with an entry and a client, one import and one entry here, and its name in
the schema; see ``docs/add-a-scorer.md``. Scoring by embeddings asks no scorer: see
:mod:`latent_ledger.scorers.embedding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latent_ledger.lib.errors import LedgerError
from latent_ledger.scorers.client import Client
from latent_ledger.scorers.kind import ScorerKind
from latent_ledger.scorers.lexical.entry import KIND as LEXICAL
from latent_ledger.scorers.openai.entry import KIND as OPENAI
from latent_ledger.scorers.vllm.entry import KIND as VLLM

SCORERS: dict[str, ScorerKind] = {
    kind.name: kind
    for kind in (
        LEXICAL,
        OPENAI,
        VLLM,
    )
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


def open_client(
    settings: Mapping[str, Any], cache: Path | None = None, log: Path | None = None
) -> Client:
    """The client of ``settings["backend"]``; `cache` is a folder of answers that outlives the job.

    `log` gets the output of a server that the client starts. Raises :class:`LedgerError` for an
    unknown backend or a missing key variable.
    """
    return kind_of(settings).open_client(settings, cache, log)
