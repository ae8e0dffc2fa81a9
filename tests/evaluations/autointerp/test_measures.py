"""Measures of answers, by hand and against statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm

from latent_ledger.evaluations.autointerp.measures import adjusted, summarise

NONE = np.nan


def arrays(*columns):
    return [np.array(column, dtype=float) for column in columns]


def test_unreadable_answers_are_left_out_and_counted():
    summary = summarise(*arrays([1, 1, 1, 0, 0], [1, 0, NONE, 0, 0], [0.9, 0.2, NONE, 0.3, 0.1]))
    assert summary.parsed == 4
    assert summary.accuracy == 3 / 4
    assert summary.balanced_accuracy == (1 / 2 + 1) / 2
    assert summary.auroc == 3 / 4  # 0.9 beats both negatives, 0.2 one of them


def test_a_missing_class_leaves_no_balanced_accuracy():
    summary = summarise(*arrays([1, 1, 0], [1, 0, NONE], [NONE] * 3))
    assert summary.accuracy == 0.5
    assert np.isnan(summary.balanced_accuracy) and np.isnan(summary.auroc)
    assert np.isnan(summarise(*arrays([1, 0], [NONE, NONE], [NONE, NONE])).accuracy)


def test_adjusted_values_have_the_line_as_mean_and_the_robust_variance():
    rng = np.random.default_rng(0)
    frequency = 10 ** rng.uniform(-3, -1, 60)
    x = np.log10(frequency)
    scores = 0.9 + 0.1 * x + rng.normal(0, 0.05, 60) * (2 + x)
    values = adjusted(scores, frequency, 0.05)
    fit = sm.OLS(scores, sm.add_constant(x)).fit(cov_type="HC0")
    at = np.array([1, np.log10(0.05)])
    assert values.mean() == pytest.approx(at @ fit.params)
    assert values.var() / len(values) == pytest.approx(at @ fit.cov_params() @ at)


def test_coders_that_differ_only_in_frequency_have_equal_adjusted_scores():
    rng = np.random.default_rng(1)

    def coder(centre):
        x = rng.normal(centre, 0.4, 400)
        return 0.5 - 0.1 * x + rng.normal(0, 0.02, 400), 10**x

    (rare, rarely), (common, often) = coder(-3), coder(-2)
    assert rare.mean() - common.mean() > 0.09
    difference = adjusted(rare, rarely, 0.01).mean() - adjusted(common, often, 0.01).mean()
    assert abs(difference) < 0.02


def test_scores_of_equal_frequency_are_not_adjusted():
    assert adjusted(np.ones(5), np.full(5, 0.01), 0.1) is None
    assert adjusted(np.ones(2), np.array([0.1, 0.01]), 0.1) is None
