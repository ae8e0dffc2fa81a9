"""Problems, each a path and a sentence, and checks that look for them.

A check reads several parts of a configuration that each look right alone.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from latent_ledger.lib.suggestions import show, suggest

Where = tuple[str | int, ...]
"""A path into a configuration: keys and list positions."""


@dataclass(frozen=True)
class Problem:
    """One fault of a configuration: its path, and a sentence."""

    path: Where
    what: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.what}" if self.path else self.what


Find = Callable[[dict[str, Any]], Iterator[Problem]]
"""The problems of a completed configuration."""


@dataclass(frozen=True)
class Check:
    """One condition over a completed configuration, and the sections it reads."""

    sections: frozenset[str]
    find: Find


def needs_sections(*sections: str) -> Callable[[Find], Check]:
    """Make a :class:`Check` of a generator of problems."""
    return lambda find: Check(frozenset(sections), find)


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The sentence about a `name` that is not among the `known` ones."""
    return f"unknown {what} {show(name)}; {suggest(name, known)}"


def dotted(path: Iterable[str | int]) -> str:
    """``("training", "k", 1)`` as ``training.k[1]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
