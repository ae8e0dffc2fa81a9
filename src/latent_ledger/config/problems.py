"""Problems, each a path and a sentence, and checks that look for them.

A check reads several parts of a configuration that each look right alone.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Where = tuple[str | int, ...]
"""A path into a configuration: keys and list positions."""


@dataclass(frozen=True)
class Problem:
    """One fault of a configuration: its path, and a sentence."""

    path: Where
    what: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.what}" if self.path else self.what


@dataclass(frozen=True)
class Check:
    """One condition over a completed configuration, and the sections it reads."""

    sections: frozenset[str]
    find: Callable[[dict[str, Any]], Iterator[Problem]]


def needs_sections(
    *sections: str,
) -> Callable[[Callable[[dict[str, Any]], Iterator[Problem]]], Check]:
    """Make a :class:`Check` of a generator of problems."""
    return lambda find: Check(frozenset(sections), find)


def contradictions(
    checks: Iterable[Check], config: dict[str, Any], broken: set[str]
) -> list[Problem]:
    """Problems that `checks` find; a check that reads a `broken` section is left out."""
    return [
        problem for check in checks if not check.sections & broken for problem in check.find(config)
    ]


def dotted(path: Iterable[str | int]) -> str:
    """``("training", "k", 1)`` as ``training.k[1]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
