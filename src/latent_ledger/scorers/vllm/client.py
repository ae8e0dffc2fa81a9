"""A client of a model that the job serves itself: `vllm serve` behind the client of an endpoint.

::

    prompt -> cache? -> server (started by the first prompt without an answer) -> POST -> cache

A job whose answers are all kept starts nothing. Otherwise the start costs what loading the model
costs, one to five minutes, once for explaining and once for scoring: they are jobs of their own,
so that neither the base model nor a coder is on the GPU beside the scorer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latent_ledger.lib.errors import LedgerError
from latent_ledger.scorers.cache import Answers
from latent_ledger.scorers.openai.client import OpenAI, Transient
from latent_ledger.scorers.vllm import server as vllm_server


def open_client(settings: Mapping[str, Any], cache: Path | None, log: Path | None) -> Served:
    """A client of a server of its own, whose output goes into `log`, else ``vllm.log``."""
    return Served(settings, Answers(cache) if cache else None, log or Path("vllm.log"))


class Served(OpenAI):
    """Client of a server that it starts and ends; see the module's docstring."""

    matters = ("backend", "model", "revision", "dtype", "arguments")

    def __init__(self, settings: Mapping[str, Any], answers: Answers | None, log: Path) -> None:
        here = {"base_url": "http://127.0.0.1", "api_key_env": None}
        super().__init__({**settings, **here}, answers, proxies=False)
        self.log = log
        self.server: vllm_server.Server | None = None
        self._starting = asyncio.Lock()

    async def __aexit__(self, *exception: object) -> None:
        if self.server is not None:
            self.server.stop()
        await super().__aexit__(*exception)

    async def _ask(self, body: Mapping[str, Any]) -> dict[str, Any]:
        async with self._starting:  # one prompt starts the server, the others wait for it
            if self.broken is not None:
                raise self.broken
            if self.server is None:
                try:
                    self.server = await vllm_server.start(self.settings, self.log)
                except LedgerError as error:
                    raise self._break(str(error)) from error
                self.base = f"{self.server.root}/v1"
        return await super()._ask(body)

    async def _attempt(self, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return await super()._attempt(body)
        except Transient as error:
            assert self.server is not None, "the first prompt starts it"
            if self.broken is None and (ended := self.server.ended()):
                raise self._break(f"{ended} Kept answers are not asked for again.") from error
            raise

    def _unreachable(self, why: str) -> str:
        assert self.server is not None, "it is running"
        return f"{self.server.name} runs and does not listen ({why}; log: {self.log})."
