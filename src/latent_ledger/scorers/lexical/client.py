r"""The lexical scorer: explanations and answers by characteristic tokens, without a model.

It reads only delphi's own prompts, and knows one kind of explanation: tokens, and the word
in front of them::

    "of"; "the" after "in"; "-er"; any word after "New"; a number

A text is cut into *places*: words and signs, and what << >> highlights of them; ``-er`` is the end
of a word, ``jour-`` its beginning, as in a dictionary. The explanation is a set of patterns, chosen
from the explainer's prompt alone:

1. A pattern is a candidate if it is highlighted in two examples or more, and if so large a share of
   its places is highlighted as chance does not give: one-sided binomial test against the share of
   all places, Bonferroni over all patterns at highlighted places.
2. Each example shown is one positive (its highlighted places) and one pseudo-negative (its other
   places). Candidates are added greedily as long as they raise, by :data:`LEAST_GAIN` examples, ::

       J = share of examples found by highlighted places - share found by the others

   (Youden's J, sensitivity + specificity - 1).

A latent without a characteristic token gets the explanation that says so, and every question about
it the answer 0. Topics, syntax and meaning are beyond this scorer by design.

Youden, Index for rating diagnostic tests, Cancer 3 (1950).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.special import bdtrc

from latent_ledger.lib.errors import LedgerError
from latent_ledger.scorers import answers
from latent_ledger.scorers.client import Client, Messages, Response, conversation
from latent_ledger.scorers.lexical.patterns import Pattern, Place, parse, patterns_at, places, write

ALPHA = 0.05
"""Chance that a latent which fires anywhere gets any candidate at all."""
LEAST_GAIN = 2
"""Examples that a pattern must win, net of those in which it is found elsewhere."""
MOST_PATTERNS = 12
"""Patterns an explanation holds at most: it is meant to be read."""
NONE_FOUND = "No characteristic token."

ACTIVATIONS = re.compile(r'^Activations: (?:\("(?s:.*?)" : -?\d+\), ?)+$', re.MULTILINE)
"""delphi's line of activations below an example: also where one example ends."""
QUESTION = re.compile(r"\ALatent explanation: (.*?)\n\nText examples:\n\n(.*)\n\Z", re.DOTALL)
LINE_UP = re.compile(r"\AExamples:\n\n(.*)\n\Z", re.DOTALL)


def open_client(settings: Mapping[str, Any], cache: Path | None, log: Path | None) -> Lexical:
    """The lexical scorer, which has no settings and is quicker than any cache."""
    return Lexical()


class Lexical(Client):
    """Client of the rules below; see the module's docstring."""

    name = "lexical"

    async def generate(self, messages: Messages, **kwargs: Any) -> Response:
        """Answer one of delphi's prompts; options such as a temperature mean nothing here."""
        self.counts.calls += 1
        return Response(answer(conversation(messages)))


def answer(turns: Sequence[Mapping[str, str]]) -> str:
    """The answer to a prompt of delphi's explainer, detection, fuzzing or intruder scorer.

    Raises :class:`LedgerError` for any other prompt.
    """
    system = next((turn["content"] for turn in turns if turn["role"] == "system"), "")
    asked = turns[-1]["content"]
    question = QUESTION.match(asked)
    if answers.EXPLANATION in system:
        return f"{answers.EXPLANATION} {explain(shown(asked))}"
    if question and "Portions of the sentence" in system:
        return answers.render(fuzzing(question[1], numbered(question[2])))
    if question:
        return answers.render(detection(question[1], numbered(question[2])))
    line_up = LINE_UP.match(asked)
    if line_up and "[RESPONSE]" in system:
        return f"[RESPONSE]: {intruder(numbered(line_up[1]))}"
    raise LedgerError(
        "The lexical scorer answers delphi's explainer, detection, fuzzing and intruder prompts; "
        f"this one is none of them: {' '.join(asked.split())[:80]!r}."
    )


# -- prompts --------------------------------------------------------------------------------------


def shown(text: str) -> list[str]:
    """The examples of an explainer's prompt, without numbers, activations and counterexamples.

    A prompt without activations does not say where an example ends; then every line is one.
    """
    text = text.partition("NON-ACTIVATING EXAMPLES:")[0].removeprefix("ACTIVATING EXAMPLES:")
    parts = ACTIVATIONS.split(text) if ACTIVATIONS.search(text) else text.splitlines()
    parts = [re.sub(r"\A\s*Example \d+: +", "", part) for part in parts]
    parts = [part.removeprefix("\n").removesuffix("\n") for part in parts]
    return [part for part in parts if part.strip()]


def numbered(text: str) -> list[str]:
    """The examples behind ``Example 0:``, ``Example 1:``, ...; their texts may have any lines."""
    starts: list[re.Match] = []
    begin = 0
    while start := re.compile(rf"^Example {len(starts)}:", re.MULTILINE).search(text, begin):
        starts.append(start)
        begin = start.end()
    ends = [*(start.start() - 1 for start in starts[1:]), len(text)]
    return [text[start.end() : end] for start, end in zip(starts, ends, strict=True)]


# -- explaining -----------------------------------------------------------------------------------


def explain(examples: Sequence[str]) -> str:
    """The explanation of highlighted `examples`."""
    return write(choose([places(example) for example in examples])) or NONE_FOUND


def choose(examples: Sequence[Sequence[Place]]) -> list[Pattern]:
    """The patterns that tell highlighted places from the others; none if none does."""
    support: Counter[Pattern] = Counter()
    for example in examples:
        marked = (place for place in example if place.marked)
        support.update({pattern for place in marked for pattern in patterns_at(place)})
    total = sum(map(len, examples))
    share = sum(place.marked for example in examples for place in example) / max(total, 1)
    candidates = {}
    for pattern in sorted(pattern for pattern, count in support.items() if count >= LEAST_GAIN):
        # The examples of the pattern's places: of those highlighted, and of the others.
        hits, alarms = (
            [
                number
                for number, example in enumerate(examples)
                for place in example
                if place.marked == marked and pattern.fits(place)
            ]
            for marked in (True, False)
        )
        chance = bdtrc(len(hits) - 1, len(hits) + len(alarms), share)  # P(at least so many hits)
        if chance * len(support) < ALPHA:
            candidates[pattern] = set(hits), set(alarms)
    patterns: list[Pattern] = []
    hit, alarmed = set[int](), set[int]()
    while candidates and len(patterns) < MOST_PATTERNS:
        gains = {
            pattern: len(hits - hit) - len(alarms - alarmed)
            for pattern, (hits, alarms) in candidates.items()
        }
        best = max(gains, key=gains.__getitem__)  # of equals the first, which is the simplest
        if gains[best] < LEAST_GAIN:
            break
        new_hits, new_alarms = candidates.pop(best)
        hit |= new_hits
        alarmed |= new_alarms
        patterns.append(best)
    return patterns


# -- answering ------------------------------------------------------------------------------------


def detection(explanation: str, examples: Sequence[str]) -> list[int]:
    """For each example, whether any of its places fits the explanation."""
    patterns = parse(explanation)
    return [int(any(_fitting(patterns, places(example, marks=False)))) for example in examples]


def fuzzing(explanation: str, examples: Sequence[str]) -> list[int]:
    """For each example, whether at least half of its highlighted places fit the explanation."""
    patterns = parse(explanation)
    bits = []
    for example in examples:
        marked = [place for place in places(example) if place.marked]
        fitting = sum(_fitting(patterns, marked))
        bits.append(int(bool(marked) and 2 * fitting >= len(marked)))
    return bits


def _fitting(patterns: Sequence[Pattern], parts: Iterable[Place]) -> Iterator[bool]:
    """For each place, whether any of the patterns describes it."""
    return (any(pattern.fits(place) for pattern in patterns) for place in parts)


def intruder(examples: Sequence[str]) -> int:
    """The example whose highlights share least with those of the others.

    A shared pattern counts the less, the more of the other places it fits too. Where nothing
    tells the examples apart, a digest of their texts decides: chance, but always the same.
    """
    cut = [places(example) for example in examples]
    marked = [
        {pattern for place in example if place.marked for pattern in patterns_at(place)}
        for example in cut
    ]
    others = [place for example in cut for place in example if not place.marked]
    shared = Counter(pattern for patterns in marked for pattern in patterns)
    weight = {
        pattern: 1 / (1 + sum(pattern.fits(place) for place in others))
        for pattern, count in shared.items()
        if count > 1
    }
    likeness = [
        sum(weight[pattern] * (shared[pattern] - 1) for pattern in sorted(patterns & weight.keys()))
        for patterns in marked
    ]
    least = [index for index, value in enumerate(likeness) if value == min(likeness)]
    return min(least, key=lambda index: hashlib.sha256(examples[index].encode()).digest())
