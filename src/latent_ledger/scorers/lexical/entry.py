"""The backend ``lexical``: rules over the tokens in the prompt; no model, deterministic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latent_ledger.resources.work import Work
from latent_ledger.scorers.client import Client
from latent_ledger.scorers.kind import ScorerKind


def open_client(settings: Mapping[str, Any], cache: Path | None, log: Path | None) -> Client:
    """The lexical scorer, which has no settings and is quicker than any cache."""
    from latent_ledger.scorers.lexical.client import Lexical

    return Lexical()


KIND = ScorerKind(
    name="lexical",
    open_client=open_client,
    label=lambda settings: "no model",
    cost=lambda settings, questions, model: Work(seconds=5 + 0.1 * questions.latents),
)
