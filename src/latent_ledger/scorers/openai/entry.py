"""The backend ``openai``: an endpoint that speaks OpenAI's chat completions; answers are kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latent_ledger.scorers.client import Client
from latent_ledger.scorers.kind import ScorerKind, waiting

ASKED = ("concurrency", "retries", "timeout", "temperature", "max_tokens", "logprobs")
"""Settings of every client that sends chat completions."""


def open_client(settings: Mapping[str, Any], cache: Path | None, log: Path | None) -> Client:
    """A client of the endpoint in `settings`; `cache` is a folder of answers."""
    from latent_ledger.scorers.openai.client import open_client

    return open_client(settings, cache)


KIND = ScorerKind(
    name="openai",
    open_client=open_client,
    label=lambda settings: settings["model"],
    cost=waiting,
    needs=("base_url", "model"),
    takes=("api_key_env", *ASKED),
)
