"""Judges: probes that decide whether a generated text carries the concept.

Two logistic probes, each fit on the training examples of one concept and on as many leading tokens
as a generation has, so that both average over texts of one length:

* the judge reads the mean raw activation of the *unsteered* model over the text, at one residual
  hook point that is the same for every coder of a layer;
* the second opinion reads the bag of tokens (the share of each token id) and needs no model.

Success is a score above 0. No success rate is more reliable than its judge, whose accuracy on test
examples stands beside it.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from latent_ledger.evaluations.probing.evaluation import Task
from latent_ledger.statistics.probes import fit_probe


@dataclass(frozen=True)
class Judge:
    """A linear probe: the log odds of the concept are ``features @ weights + intercept``."""

    weights: np.ndarray
    intercept: float

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Log odds of `features` [..., d]."""
        return features @ self.weights + self.intercept


def fit(task: Task, features: np.ndarray, seed: int) -> tuple[Judge, float]:
    """The judge of one concept, fit on the training split of features [examples, d].

    Returns it with its accuracy on the test examples.
    """
    d = features.shape[1]
    # The probe is affine: its scores at the origin and at the unit vectors determine it.
    at = np.vstack([np.zeros((1, d)), np.eye(d)])
    scores, _ = fit_probe(features[task.train], task.train_labels, at, tune=True, seed=seed)
    judge = Judge(scores[1:] - scores[0], float(scores[0]))
    return judge, accuracy(judge.scores(features[task.test]), task)


def second_opinion(
    task: Task, bags: sparse.csr_matrix, texts: sparse.csr_matrix, seed: int
) -> tuple[np.ndarray, float]:
    """Log odds [n] of `texts` by a bag-of-tokens probe, and its accuracy on the test examples.

    `bags` [examples, vocabulary] and `texts` [n, vocabulary]; tokens that no training example
    has are left out.
    """
    known = np.flatnonzero(bags[task.train].getnnz(axis=0))
    train, test, written = (
        rows[:, known].toarray() for rows in (bags[task.train], bags[task.test], texts)
    )
    scored = np.vstack([test, written])
    scores, _ = fit_probe(train, task.train_labels, scored, tune=True, seed=seed)
    return scores[len(test) :], accuracy(scores[: len(test)], task)


def accuracy(scores: np.ndarray, task: Task) -> float:
    """Share of the test examples whose log odds `scores` have the sign of their label."""
    return float(((scores > 0) == task.test_labels).mean())


def bag(ids: np.ndarray, vocabulary: int) -> sparse.csr_matrix:
    """Share of every token id in texts [n, tokens]: [n, vocabulary]."""
    owner = np.repeat(np.arange(len(ids)), ids.shape[1])
    shares = np.full(ids.size, 1 / ids.shape[1])
    return sparse.csr_matrix((shares, (owner, ids.ravel())), (len(ids), vocabulary))
