"""Negatives for fuzzing whose marks have the positions of a positive's marks.

A fuzzing prompt marks tokens of an example; a scorer judges whether the marks fit the explanation.
delphi marks the same position, token 24 of 32, in every negative, so the position alone gives a
balanced accuracy of up to 0.98. Here every negative borrows the marks of a positive: both classes
then have equal marks by position and by number, and only the tokens distinguish them.

Special tokens are never marked in a positive, so a negative borrows from one whose marks fall on
ordinary tokens only, where there is such a positive.
"""

import numpy as np

from latent_ledger.evaluations.autointerp.protocol import MARKED


def marks(activations: np.ndarray) -> np.ndarray:
    """The tokens that delphi marks in positives, [n, length] bool."""
    return activations >= MARKED * activations.max(axis=-1, keepdims=True)


def borrow(marked: np.ndarray, special: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Index of the positive whose marks each negative borrows; [negatives] int64.

    `marked` [positives, length] and `special` [negatives, length], bool. The fewest marks on
    special tokens come first, then the positive used least so far; ties are settled at random.
    """
    clashes = special.astype(np.int64) @ marked.T.astype(np.int64)
    tie = rng.permutation(len(marked))
    used = np.zeros(len(marked), np.int64)
    lender = np.empty(len(special), np.int64)
    # Negatives with the fewest fitting positives choose first.
    for negative in np.argsort((clashes == 0).sum(axis=1), kind="stable"):
        lender[negative] = np.lexsort((tie, used, clashes[negative]))[0]
        used[lender[negative]] += 1
    return lender
