"""Newton solver for thousands of small logistic probes at once, one per column set.

A probe on K columns of standardised features minimises sklearn's objective at C = 1,

    sum_i log(1 + exp(z_i)) - y_i z_i + |w|^2 / 2,    z = X w + b,    b not penalised,

whose Hessian is X' diag(p (1 - p)) X + I. K is small, so a Newton step is a K x K solve, taken by
all stacked sets of a chunk together. The penalty keeps p off 0 and 1, so plain steps from zero
converge, in about six; a fit that does not is an error, never a result.

Source: Hastie, Tibshirani & Friedman, The Elements of Statistical Learning (2009), section 4.4.1.
"""

import numpy as np
from scipy.special import expit

from latent_ledger.lib.errors import LedgerError

CELLS_PER_CHUNK = 2**17
"""Entries of the stacked features held at a time: 1 MiB in float64, which stays in cache."""

STEPS = 50
TOLERANCE = 1e-6
"""Largest change of a weight in the last step; the error left is about its square."""


def standardise(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both [n, features] on the scale of `train`: mean 0, variance 1; constant columns become 0."""
    centre, varies = train.mean(axis=0), train.min(axis=0) < train.max(axis=0)
    scale = np.where(varies, train.std(axis=0), np.inf)
    return (train - centre) / scale, (test - centre) / scale


def probe_sets(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, sets: np.ndarray
) -> np.ndarray:
    """Fit one probe per column set: scores of `test` in log odds, [sets, m].

    `train` [n, features] and `test` [m, features] are standardised, `labels` [n] are 0/1, `sets`
    [sets, K] holds column numbers. Equal to ``LogisticRegression(C=1)`` on those columns.
    """
    sets, target = np.asarray(sets), np.asarray(labels, dtype=np.float64)
    # One contiguous row per feature, so that stacking the sets copies whole rows.
    train, test = np.ascontiguousarray(train.T), np.ascontiguousarray(test.T)
    chunk = max(1, CELLS_PER_CHUNK // (len(target) * (sets.shape[1] + 1)))
    scores = np.empty((len(sets), test.shape[1]))
    for start in range(0, len(sets), chunk):
        members = sets[start : start + chunk]
        weights = _fit(_stacked(train, members), target)
        scores[start : start + chunk] = _logits(_stacked(test, members), weights)
    return scores


def _stacked(features: np.ndarray, sets: np.ndarray) -> np.ndarray:
    """The features of every set and a last one of ones: [features, n] -> [sets, K + 1, n]."""
    stacked = np.ones((len(sets), sets.shape[1] + 1, features.shape[1]))
    stacked[:, :-1] = features[sets]
    return stacked


def _fit(features: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weights [sets, K + 1], the intercept last, of `features` [sets, K + 1, n]."""
    penalty = np.ones(features.shape[1])
    penalty[-1] = 0.0
    weights = np.zeros(features.shape[:2])
    for _ in range(STEPS):
        rate = expit(_logits(features, weights))
        slope = np.matmul(features, (rate - target)[:, :, None])[:, :, 0] + penalty * weights
        curved = features * (rate * (1 - rate))[:, None, :]
        curvature = np.matmul(curved, features.transpose(0, 2, 1)) + np.diag(penalty)
        step = np.linalg.solve(curvature, slope[:, :, None])[:, :, 0]
        weights -= step
        if np.abs(step).max() < TOLERANCE:
            return weights
    raise LedgerError(
        f"A logistic probe on {len(penalty) - 1} columns did not converge in {STEPS} Newton steps: "
        "look for values in the codes that are not finite."
    )


def _logits(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Log odds of every example under every set's weights: [sets, n]."""
    return np.matmul(weights[:, None, :], features)[:, 0]
