"""Who reads delphi's prompts: a registry of scorers behind one small client.

::

    prompt (delphi's own messages) --client.generate--> Response(text, logprobs)

===========  =========================================================================
kind         what answers
===========  =========================================================================
``lexical``  rules over the tokens in the prompt; no model, deterministic
``openai``   any endpoint that speaks OpenAI's chat completions, answers cached on disk
``vllm``     a model that the job serves itself while it asks, with ``vllm serve``
===========  =========================================================================

A new kind is one module with an ``open_client``, its entry in :data:`SCORERS`, and
its test. Scoring by embeddings asks nobody anything: see :mod:`latent_ledger.scorers.embedding`.

A client fails in two ways, and says which: :class:`Unanswered` is about one prompt; a client that
is ``broken`` (wrong key, no such model, nobody listening) will answer none, and every further call
raises that same line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from latent_ledger.errors import LedgerError

Messages = list[dict[str, str]] | str
"""A conversation as `role` and `content` of each turn, or one user turn."""


@dataclass(frozen=True)
class TokenLogprob:
    """One token of an answer, its log probability, and the likeliest tokens at its place."""

    token: str
    logprob: float
    top_logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class Response:
    """An answer, with the fields of ``delphi.clients.client.Response``."""

    text: str
    logprobs: list[TokenLogprob] | None = None
    prompt_logprobs: None = None


@dataclass
class Counts:
    """What a client did: prompts asked, answered from the cache, HTTP requests, left unanswered."""

    calls: int = 0
    hits: int = 0
    requests: int = 0
    failures: int = 0


class Unanswered(LedgerError):
    """One prompt stayed without an answer; others may get theirs."""


class Client(Protocol):
    """What explainers and scorers need. One client serves one event loop."""

    name: str
    """Who answers, for the ledger: ``lexical`` or ``<kind>:<model>``."""
    counts: Counts
    broken: LedgerError | None
    """Why no prompt can be answered. delphi swallows exceptions, so look here after a batch."""

    async def generate(self, messages: Messages, **kwargs: Any) -> Response:
        """Answer one prompt. Raises :class:`Unanswered`, or :attr:`broken` for all of them."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


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
"""Kind -> loader. Each imports its module by name, so that the code digest sees it."""


def open_client(
    settings: Mapping[str, Any], cache: Path | None = None, log: Path | None = None
) -> Client:
    """The client of ``settings["kind"]``; `cache` is a folder of answers that outlives the job.

    `log` gets the output of a server that the client starts. Raises :class:`LedgerError` for an
    unknown kind or a missing key variable.
    """
    kind = settings["kind"]
    if kind not in SCORERS:
        raise LedgerError(f"The scorer {kind!r} is not known; known: {', '.join(SCORERS)}.")
    return SCORERS[kind](settings, cache, log)


def conversation(messages: Messages) -> list[dict[str, str]]:
    """`messages` as a list of turns."""
    return [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
