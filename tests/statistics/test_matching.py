"""Matched pairs by hand, a difference explained by the key, and units without a match."""

import numpy as np
import pytest

from latent_ledger.lib.errors import LedgerError
from latent_ledger.statistics.matching import TooFewAlike, matched
from latent_ledger.statistics.resampling import Values, compare


def test_matched_pairs_nearest_units_one_to_one():
    """By hand: 10 goes with 11 and 100 with 90, in whatever order they come; 1000 with none."""
    a = Values(np.array([7, 3, 5]), "mean", np.array([0.1, 0.2, 0.3]))
    b = Values(np.array([1, 2]), "mean", np.array([0.5, 0.9]))
    first, second, ratios = matched(a, b, np.array([1000, 10, 100]), np.array([90, 11]))
    assert sorted(zip(first.a, second.a, strict=True)) == [(0.2, 0.9), (0.3, 0.5)]
    assert sorted(ratios) == pytest.approx([11 / 10, 100 / 90])
    assert first.unit_ids.tolist() == second.unit_ids.tolist() == [0, 1]


def test_matched_removes_difference_explained_by_key():
    """Scores fall with frequency alone, and one coder's latents fire more often."""
    rng = np.random.default_rng(0)
    rare, often = np.exp(rng.uniform(-6, -2, 80)), np.exp(rng.uniform(-5, -1, 80))
    arms = [
        Values(np.arange(80), "mean", 0.5 - 0.05 * np.log(key) + rng.normal(0, 0.02, 80))
        for key in (rare, often)
    ]
    raw = compare(*arms, resamples=500, seed=0, paired=False)
    *pairs, _ = matched(*arms, rare, often)
    fair = compare(*pairs, resamples=500, seed=0)
    assert raw.estimate > 0.03 and raw.ci_excludes_zero
    assert fair.paired and fair.n > 40 and abs(fair.estimate) < raw.estimate / 4


def test_matched_refuses_invalid_keys_and_too_few_pairs():
    values = Values(np.arange(2), "mean", np.zeros(2))
    with pytest.raises(LedgerError, match="positive number"):
        matched(values, values, np.array([0.0, 1.0]), np.ones(2))
    with pytest.raises(TooFewAlike, match="only 1 could be matched within a factor of 1.25"):
        matched(values, values, np.array([1.0, 9.0]), np.array([1.2, 3.0]))
