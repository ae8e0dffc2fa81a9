"""Verdicts of a metric against its null, and of a reported value."""

import pytest

from latent_ledger.ledger.verdicts import holds, verdict


@pytest.mark.parametrize(
    ("ci", "p_holm", "expected"),
    [
        ([0.1, 0.2], None, "novel"),
        ([-0.1, 0.2], None, "inconclusive"),
        ([0.0, 0.2], None, "inconclusive"),
        ([-0.2, -0.1], 0.01, "novel"),
        ([0.1, 0.2], 0.06, "inconclusive"),
        (None, None, "inconclusive"),
    ],
)
def test_verdicts_against_a_null(ci, p_holm, expected):
    measured = {"estimate": 0.1, "ci": ci, "p_holm": p_holm}
    assert verdict(measured, null=0.0, alpha=0.05) == expected


def test_a_reference_holds_within_its_tolerance_inclusive():
    assert holds({"value": 0.8, "tolerance": 0.1}, 0.9) is (abs(0.9 - 0.8) <= 0.1)
    quarter = {"value": 0.5, "tolerance": 0.25}
    assert holds(quarter, 0.75) and not holds(quarter, 0.76)
