"""Who reads delphi's prompts: a registry of scorers behind one small client.

::

    prompt (delphi's own messages) --client.generate--> Response(text, logprobs)

===========  =========================================================================
backend         what answers
===========  =========================================================================
``lexical``  rules over the tokens in the prompt; no model, deterministic
``openai``   any endpoint that speaks OpenAI's chat completions, answers cached on disk
``vllm``     a model that the job serves itself while it asks, with ``vllm serve``
===========  =========================================================================

A new backend is one module with an ``open_client``, its entry in :data:`SCORERS`, and
its test. Scoring by embeddings asks nobody anything: see :mod:`latent_ledger.scorers.embedding`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from latent_ledger.lib.errors import LedgerError
from latent_ledger.scorers.client import Client


def _lexical(settings: Mapping[str, Any], cache: Path | None, log: Path | None) -> Client:
    from latent_ledger.scorers import lexical

    return lexical.open_client(settings, cache)


def _openai(settings: Mapping[str, Any], cache: Path | None, log: Path | None) -> Client:
    from latent_ledger.scorers import openai

    return openai.open_client(settings, cache)


def _vllm(settings: Mapping[str, Any], cache: Path | None, log: Path | None) -> Client:
    from latent_ledger.scorers import vllm

    return vllm.open_client(settings, cache, log)


SCORERS: dict[str, Callable[[Mapping[str, Any], Path | None, Path | None], Client]] = {
    "lexical": _lexical,
    "openai": _openai,
    "vllm": _vllm,
}
"""Backend -> loader. Each imports its module by name, so that the code digest sees it."""


def open_client(
    settings: Mapping[str, Any], cache: Path | None = None, log: Path | None = None
) -> Client:
    """The client of ``settings["backend"]``; `cache` is a folder of answers that outlives the job.

    `log` gets the output of a server that the client starts. Raises :class:`LedgerError` for an
    unknown backend or a missing key variable.
    """
    backend = settings["backend"]
    if backend not in SCORERS:
        raise LedgerError(f"The scorer {backend!r} is not known; known: {', '.join(SCORERS)}.")
    return SCORERS[backend](settings, cache, log)
