"""A client between delphi and a scorer that passes on only exactly readable answers.

delphi reads answers loosely (``["0", "0"]`` as two ones). What it cannot read silently leaves its
metrics, counts as a wrong guess, or becomes the explanation "Explanation could not be parsed.".
Here an answer is read strictly and passed on in the form that delphi reads back exactly; any other
answer reaches delphi as unreadable and is counted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from latent_ledger.evaluations.autointerp.delphi_io import Response
from latent_ledger.lib.progress import Progress
from latent_ledger.scorers import answers
from latent_ledger.scorers.client import Client, Unanswered

Item = TypeVar("Item")
Result = TypeVar("Result")

Read = Callable[[str], str | None]
"""An answer in the form delphi reads exactly, or None."""

UNREADABLE = Response("")


def labels(text: str, n: int) -> str | None:
    """A list of exactly `n` zeros and ones: detection and fuzzing."""
    entries = answers.strict(text, n)
    return None if entries is None else answers.render(entries)


def intruder(text: str, n: int) -> str | None:
    """The index of one of `n` examples."""
    index = answers.intruder(text, n)
    return None if index is None else f"[RESPONSE]: {index}"


def explanation(text: str) -> str | None:
    """An explanation behind its label, or None where the text has none."""
    explained = answers.explanation(text)
    return None if explained is None else f"{answers.EXPLANATION} {explained}"


@dataclass
class StrictClient:
    """delphi's client for one latent and one score, over a client of ours."""

    client: Client
    read: Read
    digits: int = 0
    """Tokens with a 0 or 1 in an answer whose log probabilities delphi can read. With another
    number delphi discards the whole answer, so the log probabilities are left out."""
    prompts: int = 0
    unparsed: int = 0
    unanswered: int = 0

    async def generate(self, messages: list[dict[str, str]], **kwargs: Any) -> Response:
        """Answer delphi's call. Raises the error of a broken client; see :attr:`Client.broken`."""
        self.prompts += 1
        try:
            response = await self.client.generate(messages, **kwargs)
        except Unanswered:
            self.unanswered += 1
            return UNREADABLE
        text = self.read(response.text)
        if text is None:
            self.unparsed += 1
            return UNREADABLE
        tokens = response.logprobs
        digits = sum("0" in token.token or "1" in token.token for token in tokens or ())
        return Response(text, tokens if digits == self.digits else None)

    @property
    def failures(self) -> int:
        """Prompts without a readable answer."""
        return self.unparsed + self.unanswered


def ask_all(
    progress: Progress,
    client: Client,
    items: Iterable[Item],
    ask: Callable[[Item], Awaitable[Result]],
) -> list[Result]:
    """What `ask` returns for each of `items`, all asked at once; raises why `client` is broken."""

    async def counted(item: Item) -> Result:
        result = await ask(item)
        progress.update(1)
        return result

    async def run() -> list[Result]:
        async with client:
            results = await asyncio.gather(*map(counted, items))
            if client.broken:  # delphi swallows exceptions
                raise client.broken
            return results

    with progress:
        return asyncio.run(run())
