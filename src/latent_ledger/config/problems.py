"""A problem is a path and a sentence; a check finds problems in parts that each look right alone.

How values, lists of words and near misses are worded lives here too, so that every message of a
configuration reads the same.
"""

from __future__ import annotations

import datetime
import difflib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Where = tuple[str | int, ...]
"""A path into a configuration: keys and list positions."""


@dataclass(frozen=True)
class Problem:
    """One thing to put right: where, and what."""

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
    """What `checks` find; those that read a `broken` section cannot be asked and are left out."""
    return [
        problem for check in checks if not check.sections & broken for problem in check.find(config)
    ]


def dotted(path: Iterable[str | int]) -> str:
    """``("training", "k", 1)`` as ``training.k[1]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def show(value: Any) -> str:
    """A value as it would be written in YAML's flow style."""
    return str(value) if isinstance(value, datetime.date) else json.dumps(value, default=str)


def words(values: Iterable[Any]) -> str:
    """Values in one line, separated by commas; text without quotes."""
    return ", ".join(value if isinstance(value, str) else show(value) for value in values)


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that `word` most likely stands for, or None if nothing is near."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return found[0] if found else None


def suggest(word: str, known: Iterable[str]) -> str:
    """What to write instead of `word`: the nearest known word, or all of them."""
    known = list(known)
    near = nearest(word, known)
    return f'did you mean "{near}"?' if near else f"known: {words(known)}"
