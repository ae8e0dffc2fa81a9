"""A client of any endpoint that speaks OpenAI's chat completions: vLLM, llama.cpp, a paid service.

::

    prompt -> cache? -> slot (at most `concurrency`) -> POST -> answer -> cache
                              ^-- wait 0.5, 1, 2, ... s --|  429, 5xx, timeout, broken JSON

Waiting times carry no jitter; a server's ``Retry-After`` is honoured where it asks for more. After
`retries` further attempts a prompt is :class:`Unanswered` and counted. What no retry can mend (a
refused key, an unknown model, no server) makes the whole client broken, with one line that says
what to do. The key comes from the environment variable that ``api_key_env`` names, and from nowhere
else.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from itertools import starmap
from pathlib import Path
from typing import Any, ClassVar

import httpx

from latent_ledger.lib.errors import LedgerError
from latent_ledger.scorers.cache import Answers
from latent_ledger.scorers.client import (
    Client,
    Messages,
    Response,
    TokenLogprob,
    Unanswered,
    conversation,
)

FIRST_WAIT = 0.5
"""Seconds before the first retry; every further wait is twice as long."""
LONGEST_WAIT = 60.0
"""Seconds that a retry waits at most on its own account."""
LONGEST_RETRY_AFTER = 600.0
"""Seconds that a server's ``Retry-After`` is followed at most."""
TRANSIENT = (408, 409, 425, 429)
"""Statuses below 500 that a later attempt may mend."""


class Transient(Exception):
    """One attempt failed in a way that another may not; `wait` is what the server asked for."""

    def __init__(self, reason: str, wait: float = 0.0, listening: bool = True) -> None:
        super().__init__(reason)
        self.wait, self.listening = wait, listening


def open_client(settings: Mapping[str, Any], cache: Path | None, log: Path | None) -> OpenAI:
    """A client of the endpoint in `settings`, its answers kept in the folder `cache`, if any."""
    return OpenAI(settings, Answers(cache) if cache else None)


class OpenAI(Client):
    """Client of one endpoint and model; see the module's docstring."""

    matters: ClassVar[tuple[str, ...]] = ("backend", "base_url", "model")
    """Settings that an answer depends on, beside the options of its request; the others only say
    how it is fetched."""

    def __init__(
        self, settings: Mapping[str, Any], answers: Answers | None = None, *, proxies: bool = True
    ) -> None:
        super().__init__()
        self.settings, self.answers = dict(settings), answers
        self.base = str(settings["base_url"]).rstrip("/").removesuffix("/chat/completions")
        self.name = f"{settings['backend']}:{settings['model']}"
        self.key_name: str | None = settings["api_key_env"]
        headers = {}
        if self.key_name:
            if not (key := os.environ.get(self.key_name, "").strip()):
                raise LedgerError(
                    f"The environment variable {self.key_name} is not set: put the key of "
                    f"{self.base} there, or set api_key_env to null for an endpoint without one."
                )
            headers["Authorization"] = f"Bearer {key}"
        slots = int(settings["concurrency"])
        self._slots = asyncio.Semaphore(slots)
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(float(settings["timeout"]), pool=None),  # the slots are the queue
            limits=httpx.Limits(max_connections=slots),
            trust_env=proxies,
        )

    async def __aexit__(self, *exception: object) -> None:
        await self._http.aclose()

    async def generate(self, messages: Messages, **kwargs: Any) -> Response:
        """Answer one prompt; `kwargs` go into the request, over the settings' own.

        Equal prompts in flight are asked once, if there is a cache. Raises :class:`Unanswered`
        when this prompt got no answer, and the line in :attr:`broken` when none will.
        """
        self.counts.calls += 1
        turns = conversation(messages)
        options = {name: self.settings[name] for name in ("temperature", "max_tokens")}
        options |= {name: value for name, value in kwargs.items() if value is not None}
        body = {"model": self.settings["model"], "messages": turns, **options}
        try:
            if self.answers is None:
                return _response(await self._ask(body))
            matters = {name: self.settings[name] for name in self.matters}
            key = self.answers.key(matters, turns, options)
            async with self._locks[key]:
                if (answer := self.answers.get(key)) is not None:
                    self.counts.hits += 1
                else:
                    answer = await self._ask(body)
                    self.answers.put(key, answer)
            return _response(answer)
        except LedgerError as error:
            self.counts.failures += 1
            if not isinstance(error, Unanswered):  # a full disk, say, under the cache
                self.broken = self.broken or error
            raise

    async def _ask(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """One prompt's answer, over as many attempts as it takes and the settings allow."""
        async with self._slots:
            attempts = int(self.settings["retries"]) + 1
            for attempt in range(attempts):
                if self.broken is not None:
                    raise self.broken
                try:
                    return await self._attempt(body)
                except Transient as error:
                    last = error
                if attempt + 1 < attempts:
                    wait = min(FIRST_WAIT * 2**attempt, LONGEST_WAIT)
                    await asyncio.sleep(max(wait, min(last.wait, LONGEST_RETRY_AFTER)))
            tried = f"{attempts} attempt" + ("s" if attempts > 1 else "")
            if not last.listening:
                raise self._break(self._unreachable(f"{last}; {tried}"))
            raise Unanswered(f"{self.name} left a prompt unanswered after {tried}: {last}.")

    async def _attempt(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """One request. Raises :class:`Transient` where another one may do better."""
        self.counts.requests += 1
        try:
            reply = await self._http.post(f"{self.base}/chat/completions", json=body)
        except httpx.ConnectError as error:
            raise Transient(str(error) or "no connection", listening=False) from error
        except httpx.TimeoutException as error:
            raise Transient(f"no answer within {self.settings['timeout']} s") from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise self._break(
                f"{self.base!r} is no address ({error}): base_url starts with http:// or "
                "https:// and usually ends in /v1."
            ) from error
        except httpx.TransportError as error:
            raise Transient(f"the connection broke ({error or type(error).__name__})") from error
        if reply.status_code != 200:
            raise await self._refusal(reply)
        try:
            return _answer(reply.json()["choices"][0])
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise Transient(f"an answer that is no chat completion ({error!r})") from error

    async def _refusal(self, reply: httpx.Response) -> Exception:
        """What a status other than 200 means."""
        status, reason = reply.status_code, _reason(reply)
        if status in (401, 403):
            todo = "name the environment variable with its key in api_key_env"
            if self.key_name:
                todo = f"put a valid key into the environment variable {self.key_name}"
            return self._break(f"{self.base} refuses access ({status}: {reason}): {todo}.")
        if status == 402 or "insufficient_quota" in reason:
            return self._break(f"{self.base} asks for credit ({status}: {reason}): top it up.")
        if status in (404, 405) or 300 <= status < 400:
            return self._break(
                f"{self.base} has no model {self.settings['model']!r}, or no chat completions "
                f"({status}: {reason}){await self._offer()}: correct model or base_url."
            )
        if status in TRANSIENT or status >= 500:
            return Transient(f"{status}: {reason}", _retry_after(reply))
        return Unanswered(f"{self.name} refuses a prompt ({status}: {reason}).")

    async def _offer(self) -> str:
        """The models an endpoint says it has, in words; nothing if it does not say."""
        try:
            reply = await self._http.get(f"{self.base}/models")
            names = [str(model["id"]) for model in reply.json()["data"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return ""
        return f"; it has {', '.join(names[:5])}" if names else ""

    def _unreachable(self, why: str) -> str:
        return f"No server answers at {self.base} ({why}): start the endpoint, or correct base_url."

    def _break(self, line: str) -> LedgerError:
        """Make `line` the answer to every further prompt."""
        self.broken = self.broken or LedgerError(line)
        return self.broken


def _answer(choice: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a choice. A model that spent its tokens on thinking says nothing: ""."""
    tokens = (choice.get("logprobs") or {}).get("content")
    if tokens is not None:
        tokens = [
            {
                "token": token["token"],
                "logprob": token["logprob"],
                "top": [[top["token"], top["logprob"]] for top in token.get("top_logprobs") or []],
            }
            for token in tokens
        ]
    return {"text": choice["message"]["content"] or "", "logprobs": tokens}


def _response(answer: Mapping[str, Any]) -> Response:
    """A kept answer as the caller gets it: from the cache or from the wire, the same."""
    tokens = answer["logprobs"]
    if tokens is not None:
        tokens = [
            TokenLogprob(
                token["token"], token["logprob"], tuple(starmap(TokenLogprob, token["top"]))
            )
            for token in tokens
        ]
    return Response(answer["text"], tokens)


def _reason(reply: httpx.Response) -> str:
    """The server's own words about a failure, in one short line."""
    try:
        error = reply.json()["error"]
        text = f"{error.get('code') or ''} {error['message']}" if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        text = reply.text or reply.reason_phrase
    return " ".join(str(text).split())[:200]


def _retry_after(reply: httpx.Response) -> float:
    """Seconds a server asks to wait, given as a number or as a date; 0 if it does not ask."""
    value = reply.headers.get("Retry-After", "").strip()
    try:
        if value.replace(".", "", 1).isdigit():
            return float(value)
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:  # absent, or neither a number nor a date
        return 0.0
