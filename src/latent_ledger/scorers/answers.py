"""Strict reading of answers: what cannot be read exactly is None; it is counted, not guessed.

delphi takes the first bracket of an answer and applies ``bool`` to its entries, so that
``["0", "0"]`` reads as two ones and ``[1, 0,]`` loses the whole batch without a count. Here an
answer counts only if it holds exactly one JSON list of the right length, each entry one of ``0``,
``1``, ``true``, ``false``, ``"0"``, ``"1"``. Prose around it and labels such as ``[RESPONSE]`` are
allowed; a second list, a nested one, or a bracket that is no JSON is not.
"""

import json
import re
from collections.abc import Sequence

LABEL = re.compile(r"\[[A-Za-z][A-Za-z _-]*\]")
"""A bracketed word, which is no attempt at a list."""
EXPLANATION = "[EXPLANATION]:"
RESPONSE = re.compile(r"\[RESPONSE\]:\s*(-?\d+)(?![\d.])")
PYTHON_WORDS = {"[True]", "[False]", "[None]", "[true]", "[false]", "[null]"}
"""Lists of one word, which look like labels and are none."""


def strict(text: str, n: int) -> list[int] | None:
    """The `n` zeros and ones of an answer, or None if it is not exactly that.

    >>> strict('[1, 0, true, "0"]', 4)
    [1, 0, 1, 0]
    >>> strict("[1, 0,]", 2) is None
    True
    """
    lists = []
    at = text.find("[")
    while at >= 0:
        label = LABEL.match(text, at)
        if label and label.group() not in PYTHON_WORDS:
            end = label.end()
        else:
            try:
                value, end = json.JSONDecoder().raw_decode(text, at)
            except ValueError:
                return None
            lists.append(value)
        at = text.find("[", end)
    if len(lists) != 1 or len(lists[0]) != n or not all(map(_is_bit, lists[0])):
        return None
    return [int(entry) for entry in lists[0]]


def _is_bit(entry: object) -> bool:
    return isinstance(entry, int | str) and entry in (0, 1, "0", "1")


def render(entries: Sequence[int]) -> str:
    """Zeros and ones as delphi's parser reads them back exactly: ``[0,1]``."""
    return json.dumps([int(entry) for entry in entries], separators=(",", ":"))


def explanation(text: str) -> str | None:
    """What follows the last ``[EXPLANATION]:``, or None if there is no such thing."""
    _, label, rest = text.rpartition(EXPLANATION)
    return (rest.strip() or None) if label else None


def intruder(text: str, n: int) -> int | None:
    """The index in the answer's only ``[RESPONSE]: <index>``, or None if it is not below `n`."""
    indices = RESPONSE.findall(text)
    if len(indices) != 1 or text.count("[RESPONSE]") != 1:
        return None
    index = int(indices[0])
    return index if 0 <= index < n else None
