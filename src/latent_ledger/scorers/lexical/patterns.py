"""Places in a text, and the patterns of tokens that the lexical scorer looks for in them.

A *place* is a word or a sign, or the highlighted (or left over) part of one. A *pattern* says what
stands at a place, what stands before it, or both. Written, as in an explanation:

======================  ==================================================
``"of"``                the word itself, upper and lower case distinguished
``"-er"``               words that end so; ``"jour-"`` that begin so, ``"-ab-"`` inside
``"the" after "in"``    the one word behind the other
``any word after "in"`` whatever comes behind it
``a number``            words that begin with a digit
======================  ==================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, pairwise

UNIT = re.compile(r"\w+|\n+|[^\w\s]")
"""A word, a run of line breaks, or one other sign."""
HIGHLIGHT = re.compile(r"<<(.*?)>>(?!>)", re.DOTALL)
NUMBER = "a number"
ANY = "any word"
AFFIX = re.compile(r"-?\w+-?")
QUOTED = r'"(?:[^"\\]|\\.)*"'
CLAUSE = re.compile(
    rf"(?P<what>{QUOTED}|\b{NUMBER}\b|\b{ANY}\b(?= after \"))(?: after (?P<after>{QUOTED}))?"
)


@dataclass(frozen=True)
class Place:
    """A word, a sign, or a part of a word.

    `open_left`: the word has more letters before this part; `open_right`: after it. `before` is the
    word or sign before the word; nothing where the word has more letters before.
    """

    text: str
    before: str = ""
    open_left: bool = False
    open_right: bool = False
    marked: bool = False


@dataclass(frozen=True)
class Pattern:
    """What stands before a place, and at it.

    Patterns have an order: words alone come first, then words behind others, then any word behind.
    """

    after: str
    what: str

    def __lt__(self, other: Pattern) -> bool:
        return self._rank < other._rank

    @property
    def _rank(self) -> tuple[bool, str, str]:
        return self.what == ANY, self.after, self.what

    def fits(self, place: Place) -> bool:
        """Whether `place` is one of those that the pattern describes."""
        if self.after and self.after != place.before:
            return False
        if self.what == ANY:
            return True
        if self.what == NUMBER:
            return place.text[0].isdigit() and not place.open_left
        left, right, stem = self.affix
        if stem == place.text:
            return (left, right) == (place.open_left, place.open_right)
        if left and right:
            return stem in place.text[1:-1]
        if left:
            return place.text.endswith(stem) and not place.open_right
        return right and place.text.startswith(stem) and not place.open_left

    @property
    def affix(self) -> tuple[bool, bool, str]:
        """Whether the word goes on to the left and to the right of the part named, and the part."""
        if len(self.what) < 2:
            return False, False, self.what
        left, right = self.what[0] == "-", self.what[-1] == "-"
        return left, right, self.what[left : len(self.what) - right]


def places(text: str, *, marks: bool = True) -> list[Place]:
    """Cut `text` into places; with `marks`, << >> are highlights and words are cut at them."""
    pieces = HIGHLIGHT.split(text) if marks else [text]  # every second one is highlighted
    text = "".join(pieces)
    ends = list(accumulate(map(len, pieces)))
    spans = list(zip(ends[0::2], ends[1::2], strict=False))
    cuts = sorted(set(ends))
    cut_places: list[Place] = []
    before = ""
    for unit in UNIT.finditer(text):
        begin, end = unit.span()
        edges = [begin, *(cut for cut in cuts if begin < cut < end), end]
        for low, high in pairwise(edges):
            marked = any(a <= low and high <= b for a, b in spans)
            cut_places.append(Place(text[low:high], before, low > begin, high < end, marked))
            before = ""
        before = unit.group()
    return cut_places


def patterns_at(place: Place) -> list[Pattern]:
    """Every pattern that describes `place`."""
    text = ("-" if place.open_left else "") + place.text + ("-" if place.open_right else "")
    whats = [text]
    if place.text[0].isdigit() and not place.open_left:
        whats.append(NUMBER)
    patterns = [Pattern("", what) for what in whats]
    if place.before:
        patterns += [Pattern(place.before, what) for what in (*whats, ANY)]
    return patterns


def write(patterns: Iterable[Pattern]) -> str:
    """Patterns as an explanation; :func:`parse` reads them back."""
    clauses = []
    for pattern in patterns:
        what = pattern.what if pattern.what in (NUMBER, ANY) else _quote(pattern.what)
        clauses.append(f"{what} after {_quote(pattern.after)}" if pattern.after else what)
    return "; ".join(clauses)


def parse(explanation: str) -> list[Pattern]:
    """The patterns an explanation names; of prose, the last two words of each quotation in it."""
    patterns = []
    for clause in CLAUSE.finditer(explanation):
        what, after = clause["what"], clause["after"]
        if not what.startswith('"'):
            patterns.append(Pattern(_unquote(after) if after else "", what))
            continue
        text = _unquote(what)
        units = [text] if AFFIX.fullmatch(text) else UNIT.findall(text)
        if units:
            before = _unquote(after) if after else "".join(units[-2:-1])
            patterns.append(Pattern(before, units[-1]))
    return patterns


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _unquote(text: str) -> str:
    try:
        return json.loads(text)
    except ValueError:  # a quotation in prose, which is not in our notation
        return text[1:-1]
