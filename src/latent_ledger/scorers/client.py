"""The client that explainers and scorers ask, and what it answers.

A client fails in two ways, and says which: :class:`Unanswered` is about one prompt; a client that
is ``broken`` (wrong key, no such model, no server) will answer none, and every further call
raises that same line.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

from latent_ledger.lib.errors import LedgerError

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
    """An answer and, where the client gives any, the log probabilities of its tokens."""

    text: str
    logprobs: list[TokenLogprob] | None = None


@dataclass
class Counts:
    """What a client did: prompts asked, answered from the cache, HTTP requests, left unanswered."""

    calls: int = 0
    hits: int = 0
    requests: int = 0
    failures: int = 0


class Unanswered(LedgerError):
    """One prompt stayed without an answer; others may get theirs."""


class Client(ABC):
    """Base of the clients of all backends. One client serves one event loop."""

    name: str
    """What answers, for the ledger: ``lexical`` or ``<backend>:<model>``."""
    broken: LedgerError | None = None
    """Why no prompt can be answered. delphi swallows exceptions, so look here after a batch."""

    def __init__(self) -> None:
        self.counts = Counts()

    @abstractmethod
    async def generate(self, messages: Messages, **kwargs: Any) -> Response:
        """Answer one prompt. Raises :class:`Unanswered`, or :attr:`broken` for all of them."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:  # noqa: B027, most hold nothing open
        """Close what the client holds open: here nothing."""


def conversation(messages: Messages) -> list[dict[str, str]]:
    """`messages` as a list of turns."""
    return [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
