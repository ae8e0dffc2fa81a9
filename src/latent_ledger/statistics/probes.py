"""Logistic probes: selection of latents, fit, scores, and the components of their AUROC.

Selection and fit see training examples only; test examples are only scored.

Sources: Gurnee et al. 2023 (arXiv 2305.01610) for selection by difference of means; DeLong, DeLong
and Clarke-Pearson 1988 (Biometrics 44:837) for the components of the AUROC.
"""

import warnings
from typing import TypeAlias

import numpy as np
from scipy import sparse
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

Features: TypeAlias = np.ndarray | sparse.csr_matrix
"""One row per example: [n, features]."""

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Values of sklearn's C (inverse L2 strength) that the cross-validation chooses from."""

FOLDS = 3


def select_latents(codes: Features, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latents by falling |difference of class means|, and those signed differences; [width] each.

    Pass training examples only. Ties go to the lower index.
    """
    positive, negative = (
        np.asarray(codes[np.flatnonzero(labels == value)].mean(axis=0)).ravel() for value in (1, 0)
    )
    differences = positive - negative
    order = np.argsort(-np.abs(differences), kind="stable")
    return order, differences[order]


def fit_probe(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, *, tune: bool, seed: int
) -> tuple[np.ndarray, float]:
    """Logistic regression with an L2 penalty: (scores of `test` in log odds, the C that was used).

    Features are scaled to zero mean and unit variance on `train`; those constant on it are left
    out. With `tune`, meant for probes with many weights, C is the value of :data:`PENALTIES` with
    the lowest log loss in a cross-validation of `train`.
    """
    varies = train.min(axis=0) < train.max(axis=0)
    if not varies.any():  # nothing to learn from: every example gets the base rate
        rate = labels.mean()
        return np.full(len(test), np.log(rate / (1 - rate))), 1.0
    scaler = StandardScaler().fit(train[:, varies])
    probe = LogisticRegression(C=1.0, max_iter=1000)
    if tune:
        probe = LogisticRegressionCV(
            Cs=PENALTIES,
            l1_ratios=(0.0,),
            cv=StratifiedKFold(FOLDS, shuffle=True, random_state=seed),
            scoring="neg_log_loss",
            max_iter=1000,
            use_legacy_attributes=False,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)  # an unfinished fit is no result
        probe.fit(scaler.transform(train[:, varies]), labels)
    scores = probe.decision_function(scaler.transform(test[:, varies]))
    return scores, float(probe.C_ if tune else probe.C)


def auroc_components(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """One value per example whose mean is the AUROC and whose spread is its sampling error; [n].

    DeLong's structural components, V, are the share of the opposite class that an example is
    ranked on the right side of. ``AUROC + n / n_class (V - AUROC)`` has mean AUROC, and its
    variance over n is DeLong's variance of the AUROC; so AUROCs of several concepts can be averaged
    and bootstrapped without pooling scores of different probes, which have no common scale.
    """
    positive = np.asarray(labels) == 1
    ranks, wins = rankdata(scores), np.empty(len(positive))
    for members in (positive, ~positive):
        # Rank among all minus rank within the class = opposite examples below; ties count half.
        wins[members] = (ranks[members] - rankdata(scores[members])) / (~members).sum()
    wins[~positive] = 1 - wins[~positive]
    auroc = wins[positive].mean()
    size = np.where(positive, positive.sum(), (~positive).sum())
    return auroc + len(positive) / size * (wins - auroc)
