"""Real text for the tiny data sets: the labelled sets inside the sae-probes wheel.

Which set stands for what is written down here. The labels of the mirrors are labels of the text (a
class is one kind of text), but not those of the published data sets: what the mirrors share with
them is name, layout, columns and types.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator

from latent_ledger.text.corpora import embedded
from latent_ledger.text.corpora.splits import position, text_digest

PILE: dict[str, tuple[int, str | None]] = {
    "Pile-CC": (100, None),
    "OpenWebText2": (97, None),
    "YoutubeSubtitles": (113, None),
    "Github": (158, "1"),
    "Books3": (111, None),
    "StackExchange": (157, None),
}
"""Part of the Pile -> the set, and the label, of the texts that stand for it."""

PROFESSIONS: dict[int, tuple[int, str]] = {
    0: (68, "bigram"),
    1: (66, "bigram"),
    2: (76, "bigram"),
    3: (69, "bigram"),
    4: (107, "0"),
    5: (63, "1"),
    6: (80, "bigram"),
    7: (81, "bigram"),
    8: (105, "clickbait"),
    9: (61, "1"),
    10: (90, "1"),
    11: (59, "1"),
    12: (56, "female"),
    13: (85, "bigram"),
    14: (36, "1"),
    15: (67, "bigram"),
    16: (79, "bigram"),
    17: (60, "1"),
    18: (26, "1"),
    19: (84, "bigram"),
    20: (110, "1"),
    21: (64, "1"),
    22: (62, "1"),
    23: (22, "True"),
    24: (151, "1"),
    25: (145, "1"),
    26: (65, "bigram"),
    27: (71, "bigram"),
}
"""Profession of bias_in_bios (as its integer) -> the set, and the label, of its texts."""

CODE = {"C": (158, "1"), "Python": (159, "1"), "HTML": (160, "1")}
CODE_NEGATIVES = {"PHP": r"<\?php", "Java": r"^import java|^public class "}
"""Languages that have no set of their own, found among what is none of the three."""


@functools.cache
def of(number: int, label: str | None) -> tuple[str, ...]:
    """The distinct texts of one label of a set (None: of all labels), in a fixed random order."""
    distinct = {
        text for text, given in embedded.read_set(number) if label in (None, given) and text
    }
    return tuple(sorted((text for text in distinct if text.strip()), key=place))


def place(text: str) -> float:
    """Where a text stands in [0, 1): a function of the text alone."""
    return position(text_digest(text), "tiny hub")


def pile(documents: int) -> list[tuple[str, str]]:
    """(text, part of the Pile), the parts taking turns."""
    columns = [[(text, part) for text in of(*source)] for part, source in PILE.items()]
    turns = itertools.chain.from_iterable(zip(*columns, strict=False))
    return list(itertools.islice(turns, documents))


def code(language: str) -> Iterator[str]:
    """Source files of a language."""
    if language in CODE:
        yield from of(*CODE[language])
        return
    for number, _ in CODE.values():
        for text in of(number, "0"):
            if re.search(CODE_NEGATIVES[language], text, re.MULTILINE):
                yield text
