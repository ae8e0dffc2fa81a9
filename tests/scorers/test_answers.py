"""Strict reading of answers, against a table made by hand, and against delphi's own reading."""

import json
import re

import pytest

from latent_ledger.scorers import answers

TABLE = [
    # answer, n, what it says
    ("[1,0,0,0,1]", 5, [1, 0, 0, 0, 1]),
    ("[1, 0]", 2, [1, 0]),
    (" Sure! Here is the list:\n[0, 1, 1]\nI hope it helps.", 3, [0, 1, 1]),
    ("[RESPONSE]: [1, 0]", 2, [1, 0]),
    ("[Example one] fits, so [1]", 1, [1]),
    ("[true, false]", 2, [1, 0]),
    ("[true]", 1, [1]),
    ('["0", "1"]', 2, [0, 1]),
    ('["0", "0", "1"]', 3, [0, 0, 1]),  # delphi: all true
    ("```json\n[0,\n 1]\n```", 2, [0, 1]),
    ("[]", 0, []),
    # what is not exactly that
    ("[1, 0, ]", 2, None),
    ("[1,0,1]", 2, None),
    ("[1]", 2, None),
    ("[]", 2, None),
    ("", 1, None),
    ("1, 0", 2, None),
    ("I cannot tell.", 2, None),
    ("[1, 0] or rather [0, 1]", 2, None),
    ("[1, 0] and again [1, 0]", 2, None),
    ("[1, 0", 2, None),
    ("[1, [0]]", 2, None),
    ("[[1, 0]]", 2, None),
    ("[1.0, 0.0]", 2, None),
    ("[1, 2]", 2, None),
    ("[1, -1]", 2, None),
    ("[1, null]", 2, None),
    ("[True, False]", 2, None),
    ("[True]", 1, None),
    ('["yes", "no"]', 2, None),
    ('["01", "1"]', 2, None),
    ('["", "1"]', 2, None),
    ("[1, NaN]", 2, None),
    ("[0-1]", 1, None),
    ('{"example_0": 1}', 1, None),
]


@pytest.mark.parametrize(("text", "n", "expected"), TABLE)
def test_answer_is_read_exactly_or_not_at_all(text, n, expected):
    assert answers.strict(text, n) == expected


def loosely(text: str) -> list[bool]:
    """How delphi 0.1.3 reads an answer (delphi/scorers/classifier/classifier.py, `_parse`)."""
    return [bool(entry) for entry in json.loads(re.search(r"\[.*?\]", text).group(0))]


def test_delphis_reading_turns_quoted_zeros_into_ones_and_ours_does_not():
    assert loosely('["0", "0", "1"]') == [True, True, True]
    assert answers.strict('["0", "0", "1"]', 3) == [0, 0, 1]


@pytest.mark.parametrize("entries", [[], [0], [1, 0, 1]])
def test_a_rendered_answer_reads_back_exactly_by_both(entries):
    text = answers.render(entries)
    assert answers.strict(text, len(entries)) == entries
    assert loosely(text) == [bool(entry) for entry in entries]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[EXPLANATION]: Common idioms.", "Common idioms."),
        ("I saw no [EXPLANATION]: tag\n[EXPLANATION]: Idioms.\n", "Idioms."),
        ("[EXPLANATION]:  ", None),
        ("Common idioms.", None),
        ("", None),
    ],
)
def test_an_explanation_is_what_follows_its_label(text, expected):
    assert answers.explanation(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[RESPONSE]: 2", 2),
        ("Example 1 is about ads.\n[RESPONSE]:0", 0),
        ("[RESPONSE]: 1.", None),
        ("[RESPONSE]: 5", None),
        ("[RESPONSE]: -1", None),
        ("[RESPONSE]: 1 [RESPONSE]: 2", None),
        ("[RESPONSE]: two", None),
        ("2", None),
    ],
)
def test_intruder_answer_is_a_single_index_in_range(text, expected):
    assert answers.intruder(text, 5) == expected
