"""Wording of values and of near misses, the same in every message.

A misspelt word is answered with the nearest known word, or with all known words where none is near.
"""

import datetime
import difflib
import json
from collections.abc import Iterable
from typing import Any


def show(value: Any) -> str:
    """A value as it would be written in YAML's flow style."""
    return str(value) if isinstance(value, datetime.date) else json.dumps(value, default=str)


def comma_list(values: Iterable[Any]) -> str:
    """Values in one line, separated by commas; text without quotes."""
    return ", ".join(value if isinstance(value, str) else show(value) for value in values)


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that `word` most likely stands for, or None if nothing is near.

    With a `cutoff` of 0 some word is always near, unless none is known.
    """
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return matches[0] if matches else None


def suggest(word: str, known: Iterable[str]) -> str:
    """A replacement for `word`: the nearest known word, or all of them."""
    known = list(known)
    near = nearest(word, known)
    return f'did you mean "{near}"?' if near else f"known: {comma_list(known)}"
