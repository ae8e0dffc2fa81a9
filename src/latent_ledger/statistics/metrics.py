"""Metrics of a coder as pure functions: arrays in, numbers out, no files.

The central quantity is the variance explained on the coder's own target ``y``::

    VE = 1 - FVU = 1 - sum_i ||y_i - yhat_i||^2 / sum_i ||y_i - mean(y)||^2

Both sums run over every row of the evaluation and are centred at the mean of *all* its rows, so
that predicting the mean scores exactly 0, the truth exactly 1, and batches do not matter. The
evaluation goes over the data twice: :class:`RunningMean` first, :func:`squared_errors` around that
mean second, both in float64 (the mean of a residual stream can be 100 times its spread, where
float32 sums of squares cancel).

Losses are in nats per predicted token; :mod:`latent_ledger.models.splice` measures them.
"""

import numpy as np
from scipy import sparse

DENSE_DENSITY = 0.1
"""A latent active on more than this share of the tokens counts as dense."""

DENSITY_EDGES = np.linspace(-6.0, 0.0, 25)
"""Bin edges of the firing-density histogram in log10 of the share of tokens: four per decade."""


class RunningMean:
    """Mean of rows that arrive in batches, in float64 and shifted by the first row.

    The shift keeps the sums near zero, so batches move only the last bits (1e-16 of the spread).
    """

    def __init__(self) -> None:
        self.count = 0
        self._shift: np.ndarray | None = None
        self._sum: np.ndarray | float = 0.0

    def update(self, rows: np.ndarray) -> None:
        """Add `rows`, shape [n, d]; n may be 0."""
        if len(rows) == 0:
            return
        rows = np.asarray(rows, dtype=np.float64)
        if self._shift is None:
            self._shift = rows[0].copy()
        self._sum = self._sum + (rows - self._shift).sum(axis=0)
        self.count += len(rows)

    @property
    def mean(self) -> np.ndarray:
        """The mean so far, shape [d]. Raises ValueError before the first row."""
        if self._shift is None:
            raise ValueError("The mean of no rows is not defined.")
        return self._shift + self._sum / self.count


def squared_errors(
    target: np.ndarray, reconstruction: np.ndarray, mean: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Per row, ``||target - reconstruction||^2`` and ``||target - mean||^2``; both [n], float64.

    `target` and `reconstruction` are [n, d], `mean` is [d] and belongs to the whole evaluation.
    """
    target = np.asarray(target, dtype=np.float64)
    error: np.ndarray = target - np.asarray(reconstruction, dtype=np.float64)
    spread = target - mean
    return np.einsum("nd,nd->n", error, error), np.einsum("nd,nd->n", spread, spread)


def fvu(target: np.ndarray, reconstruction: np.ndarray) -> float:
    """Fraction of variance unexplained over all rows at once; [n, d] each, at least two rows.

    Equal to sparsify's ``ForwardOutput.fvu`` on the same rows, with ``y`` passed. A constant
    target has no variance to explain: 0 if it is matched exactly, otherwise infinite.
    """
    mean = np.asarray(target, dtype=np.float64).mean(axis=0)
    errors, spreads = squared_errors(target, reconstruction, mean)
    error, total = errors.sum(), spreads.sum()
    if total == 0:
        return 0.0 if error == 0 else float("inf")
    return float(error / total)


def variance_explained(target: np.ndarray, reconstruction: np.ndarray) -> float:
    """``1 - fvu``: 1 is perfect, 0 is the mean, negative is worse than the mean."""
    return 1.0 - fvu(target, reconstruction)


def cosine(target: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Cosine between matching rows, shape [n]; 0 where either row is zero (no direction)."""
    target = np.asarray(target, dtype=np.float64)
    reconstruction = np.asarray(reconstruction, dtype=np.float64)
    norms = np.linalg.norm(target, axis=1) * np.linalg.norm(reconstruction, axis=1)
    dots = np.einsum("nd,nd->n", target, reconstruction)
    return np.divide(dots, norms, out=np.zeros(len(dots)), where=norms > 0)


def l0(codes: sparse.csr_matrix) -> np.ndarray:
    """Active (non-zero) latents of each row of sparse codes, shape [n]."""
    return np.diff(codes.indptr)


def latent_activity(codes: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Per latent, the number of rows where it is active and the sum of its activations; [width]."""
    fired = np.bincount(codes.indices, minlength=codes.shape[1])
    total = np.bincount(codes.indices, weights=codes.data, minlength=codes.shape[1])
    return fired, total


def density_histogram(density: np.ndarray) -> np.ndarray:
    """Live latents per bin of :data:`DENSITY_EDGES`, shape [24]; dead latents are in no bin.

    Latents below the first bin count in it, so that counts and dead latents add up to the width.
    """
    live = np.log10(density[density > 0])
    return np.histogram(live.clip(DENSITY_EDGES[0], DENSITY_EDGES[-1]), bins=DENSITY_EDGES)[0]


def loss_recovered(clean: float, spliced: float, ablated: float) -> float:
    """(CE_ablated - CE_spliced) / (CE_ablated - CE_clean), the CE score of SAEBench.

    1: the splice costs nothing. 0: no better than ablating the site. It may leave [0, 1]; it is
    NaN when ablation costs nothing, because then there is no loss to recover.
    """
    cost = ablated - clean
    return (ablated - spliced) / cost if cost != 0 else float("nan")
