"""The batched Newton probes against sklearn's logistic regression."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from latent_ledger.evaluations.circuits import newton
from latent_ledger.evaluations.circuits.newton import probe_sets, standardise
from latent_ledger.lib.errors import LedgerError
from latent_ledger.statistics.probes import fit_probe

N, M, WIDTH = 90, 40, 30


def data(strength: float, positives: float = 0.5, seed: int = 0):
    """Standardised features of different scales, with a label of this strength in each."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(N + M) % 10 < 10 * positives).astype(int)
    features = rng.exponential(size=(N + M, WIDTH)) + strength * labels[:, None]
    features *= 10.0 ** rng.integers(-3, 4, WIDTH)
    return *standardise(features[:N], features[N:]), labels[:N], features


@pytest.mark.parametrize("strength, positives", [(0.0, 0.5), (0.3, 0.5), (9.0, 0.5), (0.3, 0.2)])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_newton_probe_scores_equal_sklearn(strength, positives, k):
    """Without a signal, with one, perfectly separable, and with unequal classes."""
    train, test, labels, _ = data(strength, positives)
    sets = np.stack([np.random.default_rng(seed).permutation(WIDTH)[:k] for seed in range(7)])
    scores = probe_sets(train, labels, test, sets)
    for columns, ours in zip(sets, scores, strict=True):
        oracle = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12, max_iter=1000)
        oracle.fit(train[:, columns], labels)
        np.testing.assert_allclose(ours, oracle.decision_function(test[:, columns]), atol=1e-6)


def test_newton_probe_scores_equal_probing_evaluation():
    train, test, labels, features = data(0.3)
    ours = probe_sets(train, labels, test, np.arange(4)[None])[0]
    theirs, _ = fit_probe(features[:N, :4], labels, features[N:, :4], tune=False, seed=0)
    np.testing.assert_allclose(ours, theirs, atol=5e-3)  # lbfgs stops at its own tolerance


def test_newton_probe_scores_do_not_depend_on_chunk_size(monkeypatch):
    train, test, labels, _ = data(0.3)
    sets = np.stack([np.random.default_rng(seed).permutation(WIDTH)[:5] for seed in range(9)])
    whole = probe_sets(train, labels, test, sets)
    monkeypatch.setattr(newton, "CELLS_PER_CHUNK", 1)
    np.testing.assert_allclose(probe_sets(train, labels, test, sets), whole, atol=1e-10)


def test_newton_probe_ignores_constant_column():
    train, test = np.random.default_rng(0).normal(size=(2, 50, 3))
    train[:, 1] = 4.0
    train, test = standardise(train, test)
    assert (train[:, 1] == 0).all() and (test[:, 1] == 0).all()
    labels = np.arange(50) % 2
    with_it, without = (probe_sets(train, labels, test, [columns]) for columns in ([0, 1], [0]))
    np.testing.assert_allclose(with_it, without, atol=1e-9)


def test_standardise_uses_training_split_only():
    train, test = np.array([[0.0], [2.0]]), np.array([[4.0]])
    for ours, expected in zip(standardise(train, test), ([[-1.0], [1.0]], [[3.0]]), strict=True):
        np.testing.assert_allclose(ours, expected)


def test_newton_probe_converges_with_outliers_and_separable_labels():
    rng = np.random.default_rng(3)
    features = rng.standard_cauchy((N, 3)) * 50
    features[:, 2] = features[:, 0] > 0
    labels = (features[:, 0] > 0).astype(int)
    oracle = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    oracle.fit(features, labels)
    ours = probe_sets(features, labels, features, [[0, 1, 2]])[0]
    np.testing.assert_allclose(ours, oracle.decision_function(features), rtol=1e-6)


def test_newton_probe_refuses_nan_features():
    train, test, labels, _ = data(0.3)
    train[0, 0] = np.nan
    with np.errstate(invalid="ignore"), pytest.raises(LedgerError, match="2 columns did not conv"):
        probe_sets(train, labels, test, [[0, 1]])
