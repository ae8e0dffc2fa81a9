"""Bootstrap intervals, and contrasts between two coders.

Every metric of the ledger is a function of *integer weights over units* (documents, examples,
latents): a mean, a ratio of sums, or an area under the ROC curve. B resamples of n units are a
matrix of such weights [B, n], and the whole bootstrap is one matrix product (or, for the ROC, one
cumulative sum) per chunk of rows:

    unit indices -> counts [chunk, n] -> statistic [chunk] -> percentile and BCa interval

Two arms measured on the same units share each weight vector (paired); otherwise each arm draws
separately (unpaired). Units are put in the order of their ids first, so the order of rows in a
table cannot move a result.

Sources: Efron & Tibshirani, An Introduction to the Bootstrap (1993), eq. 14.9-14.15 for BCa;
Davison & Hinkley, Bootstrap Methods (1997), section 4.4 for the (1 + count) / (B + 1) p-value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats as tests
from scipy.special import ndtr, ndtri

from latent_ledger.lib.errors import LedgerError

Statistic = Literal["mean", "ratio", "auroc"]

CELLS_PER_CHUNK = 2**18
"""Entries of the count matrix held at a time: 2 MiB in float64, which stays in cache."""

P_METHOD = (
    "two-sided bootstrap p by inverting the percentile interval: "
    "min(1, 2 min(1 + #{d* <= 0}, 1 + #{d* >= 0}) / (B + 1))"
)


@dataclass(frozen=True, eq=False)
class Values:
    """One metric's per-unit values, in any order of units.

    `a`, `b` [n]: for ``mean`` the value (b is None), for ``ratio`` the numerator and denominator
    of sum(a) / sum(b), for ``auroc`` the score and the 0/1 label. `unit_ids` [n] are unique.
    Raises :class:`LedgerError` when the statistic is undefined on these values.
    """

    unit_ids: np.ndarray
    statistic: Statistic
    a: np.ndarray
    b: np.ndarray | None = None

    def __post_init__(self) -> None:
        ids = np.asarray(self.unit_ids)
        ids = ids.astype(str) if ids.dtype == object else ids
        if self.statistic not in ("mean", "ratio", "auroc"):
            raise LedgerError(f"Unknown statistic {self.statistic!r}: use mean, ratio or auroc.")
        if (self.b is None) != (self.statistic == "mean"):
            wanted = "one column" if self.statistic == "mean" else "two columns"
            raise LedgerError(f"A {self.statistic} takes {wanted} of values per unit.")
        if ids.size == 0:
            raise LedgerError(f"A {self.statistic} needs at least one unit; there is none.")
        for name in ("a",) if self.b is None else ("a", "b"):
            column = np.asarray(getattr(self, name), dtype=np.float64)
            if ids.ndim != 1 or column.shape != ids.shape:
                raise LedgerError(f"{column.shape} values were given for {ids.shape} units.")
            if not np.isfinite(column).all():
                unit = ids[~np.isfinite(column)][0]
                raise LedgerError(f"Unit {unit} has no finite value: leave such units out by name.")
            object.__setattr__(self, name, column)
        if len(np.unique(ids)) != len(ids):
            raise LedgerError("A unit id occurs twice: aggregate the rows of a unit into one.")
        object.__setattr__(self, "unit_ids", ids)
        if self.statistic == "auroc" and set(np.unique(self._second)) != {0.0, 1.0}:
            raise LedgerError("An AUROC needs labels 0 and 1, and at least one unit of each.")
        if self.statistic == "ratio" and self._second.sum() == 0:
            raise LedgerError("A ratio's denominators sum to zero, so it is undefined.")

    def __len__(self) -> int:
        return len(self.unit_ids)

    @property
    def _second(self) -> np.ndarray:
        """`b`, or ones [n] for a mean, which is a ratio over the number of units."""
        return np.ones(len(self)) if self.b is None else self.b

    def take(self, units: np.ndarray) -> Values:
        """The values of the units at these positions, in their order."""
        b = None if self.b is None else self.b[units]
        return replace(self, unit_ids=self.unit_ids[units], a=self.a[units], b=b)

    def ordered(self) -> Values:
        """The same values in ascending order of unit ids."""
        return self.take(np.argsort(self.unit_ids, kind="stable"))

    def estimate(self) -> float:
        """The statistic itself: every unit counted once."""
        return float(self.weighted(np.ones((1, len(self))))[0])

    def weighted(self, counts: np.ndarray) -> np.ndarray:
        """The statistic under integer unit weights: `counts` [B, n] -> [B].

        NaN where it is undefined: denominators that sum to zero, or only one class drawn.
        """
        counts = np.asarray(counts, dtype=np.float64)
        if self.statistic != "auroc":
            return _quotient(counts @ self.a, counts @ self._second)
        positive, negative, low, high = self._ranks()
        won, lost = counts[:, positive], counts[:, negative]
        below = np.zeros((len(counts), len(negative) + 1))
        np.cumsum(lost, axis=1, out=below[:, 1:])
        # A tie counts half, hence the mean of "strictly below" and "below or equal".
        wins = np.einsum("bp,bp->b", won, below[:, low] + below[:, high]) / 2
        return _quotient(wins, won.sum(axis=1) * below[:, -1])

    def jackknife(self) -> np.ndarray:
        """The statistic with each unit left out in turn, in closed form -> [n] (NaN: undefined)."""
        if self.statistic != "auroc":
            b = self._second
            return _quotient(self.a.sum() - self.a, b.sum() - b)
        positive, negative, low, high = self._ranks()
        scores = np.sort(self.a[positive])
        below = np.searchsorted(scores, self.a[negative], "left")
        up_to = np.searchsorted(scores, self.a[negative], "right")
        wins = (low + high) / 2  # of each positive, against the negatives
        losses = len(positive) - (below + up_to) / 2  # of each negative, to the positives
        left_out = np.empty(len(self))
        with np.errstate(divide="ignore", invalid="ignore"):
            left_out[positive] = (wins.sum() - wins) / ((len(positive) - 1) * len(negative))
            left_out[negative] = (wins.sum() - losses) / (len(positive) * (len(negative) - 1))
        return left_out

    def per_unit(self) -> np.ndarray | None:
        """One value per unit [n]: the value, a / b (NaN where b is 0), or None for an AUROC."""
        return None if self.statistic == "auroc" else _quotient(self.a, self._second)

    def _ranks(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Positive units, negative units by score, negatives strictly below and up to each."""
        positive, negative = (np.flatnonzero(self._second == label) for label in (1, 0))
        negative = negative[np.argsort(self.a[negative], kind="stable")]
        low, high = (
            np.searchsorted(self.a[negative], self.a[positive], side) for side in ("left", "right")
        )
        return positive, negative, low, high


@dataclass(frozen=True)
class Interval:
    """An estimate over `n` units and its bootstrap intervals at `level`: percentile, and BCa.

    `excluded` of the `resamples` had no defined statistic and were left out. With a single unit
    nothing is known about the spread: bounds and `se` are NaN, :attr:`ci` and :attr:`bca` None.
    """

    estimate: float
    low: float
    high: float
    bca_low: float
    bca_high: float
    se: float
    n: int
    resamples: int
    seed: int
    level: float
    excluded: int

    @property
    def ci(self) -> list[float] | None:
        """Percentile bounds as the `ci` of a metric record."""
        return [self.low, self.high] if np.isfinite(self.low) else None

    @property
    def bca(self) -> list[float] | None:
        """BCa bounds in the form of :attr:`ci`."""
        return [self.bca_low, self.bca_high] if np.isfinite(self.low) else None


@dataclass(frozen=True, kw_only=True)
class Contrast(Interval):
    """The difference a - b of one statistic between two arms, with its intervals and tests.

    `n` counts pairs if `paired`, otherwise the units of both arms. `p` is the two-sided bootstrap p
    (:data:`P_METHOD`). `p_welch` and `p_mannwhitney` treat the arms' per-unit values as independent
    samples; for a ratio they therefore test the per-unit ratios, not the ratio of sums. They are
    None where undefined, and `tests_note` says why.
    """

    p: float
    p_welch: float | None
    p_mannwhitney: float | None
    tests_note: str | None
    paired: bool
    n_a: int
    n_b: int
    estimate_a: float
    estimate_b: float

    @property
    def ci_excludes_zero(self) -> bool:
        """Whether the percentile interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def estimate(
    values: Values, *, resamples: int = 10_000, seed: int, level: float = 0.95
) -> Interval:
    """Bootstrap the statistic of `values` over its units; equal input gives equal output."""
    _check(resamples, level)
    values, n = values.ordered(), len(values)
    drawn = distribution(values, resamples=resamples, seed=seed) if n > 1 else np.empty(0)
    defined, point = _defined(drawn), values.estimate()
    bounds = _bounds(defined, point, [values.jackknife()], level)
    return Interval(point, *bounds, n, resamples, seed, level, len(drawn) - len(defined))


def distribution(values: Values, *, resamples: int, seed: int | list[int]) -> np.ndarray:
    """Bootstrap distribution of the statistic over its units -> [resamples] (NaN: undefined).

    Arms with the same units and the same seed share every resample, so that entry `i` of two
    distributions belongs to one and the same draw.
    """
    _check(resamples, 0.5)
    return _drawn(np.random.SeedSequence(seed), resamples, values.ordered())[0]


def compare(
    a: Values,
    b: Values,
    *,
    resamples: int = 10_000,
    seed: int,
    level: float = 0.95,
    paired: bool | None = None,
) -> Contrast:
    """Bootstrap the difference a - b.

    Paired, with one resample shared by both arms, when the arms have the same set of unit ids;
    unpaired, with independent resamples, otherwise. `paired=False` forbids pairing where equal ids
    do not mean equal units (latent 7 of two coders); `paired=True` demands it. Raises
    :class:`LedgerError` for arms that do not compare.
    """
    _check(resamples, level)
    if a.statistic != b.statistic:
        raise LedgerError(f"A {a.statistic} cannot be compared with a {b.statistic}.")
    if min(len(a), len(b)) < 2:
        raise LedgerError(f"A comparison needs two units per arm; it has {len(a)} and {len(b)}.")
    a, b = a.ordered(), b.ordered()
    same = np.array_equal(a.unit_ids, b.unit_ids)
    if paired and not same:
        raise LedgerError("A paired comparison was asked for, but the arms' unit ids differ.")
    paired = same if paired is None else paired
    if paired and a.statistic == "auroc" and not np.array_equal(a._second, b._second):
        raise LedgerError("Paired AUROCs disagree on labels: the ids do not mean the same units.")
    sequence = np.random.SeedSequence(seed)
    if paired:
        drawn_a, drawn_b = _drawn(sequence, resamples, a, b)
        left_out = [a.jackknife() - b.jackknife()]
    else:
        (drawn_a,), (drawn_b,) = (
            _drawn(stream, resamples, arm)
            for stream, arm in zip(sequence.spawn(2), (a, b), strict=True)
        )
        left_out = [a.jackknife(), -b.jackknife()]
    drawn = _defined(drawn_a - drawn_b)
    estimate_a, estimate_b = a.estimate(), b.estimate()
    difference = estimate_a - estimate_b
    p_welch, p_mannwhitney, note = _classical(a.per_unit(), b.per_unit())
    tail = min((drawn <= 0).sum(), (drawn >= 0).sum())
    return Contrast(
        difference,
        *_bounds(drawn, difference, left_out, level),
        n=len(a) if paired else len(a) + len(b),
        resamples=resamples,
        seed=seed,
        level=level,
        excluded=resamples - len(drawn),
        p=float(min(1.0, 2 * (1 + tail) / (len(drawn) + 1))),
        p_welch=p_welch,
        p_mannwhitney=p_mannwhitney,
        tests_note=note,
        paired=paired,
        n_a=len(a),
        n_b=len(b),
        estimate_a=estimate_a,
        estimate_b=estimate_b,
    )


def holm(p: Sequence[float]) -> np.ndarray:
    """Holm-Bonferroni adjusted p-values of a family, in the order given -> [len(p)]."""
    values = np.asarray(p, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise LedgerError(f"p-values lie between 0 and 1; the family holds {values.tolist()}.")
    # Three lines: statsmodels' multipletests loads pandas and collects garbage, 0.5 s per call.
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def acceleration(left_out: Sequence[np.ndarray]) -> float:
    """The BCa acceleration from the jackknife values of one sample, or of each of several.

    Efron & Tibshirani eq. 14.15, influences scaled by sample size; 0 where no unit has influence.
    """
    cubes, squares = 0.0, 0.0
    for values in filter(len, map(_defined, left_out)):
        influence = (len(values) - 1) / len(values) * (values.mean() - values)
        cubes += (influence**3).sum()
        squares += (influence**2).sum()
    return float(cubes / (6 * squares**1.5)) if squares > 0 else 0.0


def _drawn(sequence: np.random.SeedSequence, resamples: int, *arms: Values) -> np.ndarray:
    """The statistic of arms of equal size under the same resamples -> [arms, resamples]."""
    chunks = _counts(np.random.default_rng(sequence), len(arms[0]), resamples)
    return np.hstack([[arm.weighted(counts) for arm in arms] for counts in chunks])


def _counts(rng: np.random.Generator, n: int, resamples: int) -> Iterator[np.ndarray]:
    """Chunks [<= chunk, n] of multinomial counts, `resamples` rows in all.

    Counting drawn indices is ten times faster than `Generator.multinomial`; their stream does not
    depend on the size of the chunks.
    """
    chunk = max(1, CELLS_PER_CHUNK // n)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        units = rng.integers(0, n, size=(rows, n))
        units += n * np.arange(rows)[:, None]
        yield np.bincount(units.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def _quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, NaN where b is 0; [n] each."""
    return np.divide(a, b, out=np.full(len(a), np.nan), where=b != 0)


def _defined(drawn: np.ndarray) -> np.ndarray:
    """The entries in which a statistic is defined."""
    return drawn[np.isfinite(drawn)]


def _bounds(
    drawn: np.ndarray, point: float, left_out: Sequence[np.ndarray], level: float
) -> tuple[float, float, float, float, float]:
    """Percentile low and high, BCa low and high, standard error of a bootstrap distribution."""
    if len(drawn) < 2:
        return np.nan, np.nan, np.nan, np.nan, np.nan
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    # The share of the distribution below the estimate, ties counted half, kept off 0 and 1 so that
    # an estimate outside its own bootstrap distribution still has an interval.
    below = ((drawn < point).mean() + (drawn <= point).mean()) / 2
    bias = ndtri(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn)))
    shifted = bias + ndtri(tails)
    corrected = ndtr(bias + shifted / (1 - acceleration(left_out) * shifted))
    low, high, bca_low, bca_high = np.quantile(drawn, [*tails, *corrected])
    return float(low), float(high), float(bca_low), float(bca_high), float(drawn.std(ddof=1))


def _classical(
    a: np.ndarray | None, b: np.ndarray | None
) -> tuple[float | None, float | None, str | None]:
    """Welch's t and Mann-Whitney p of two samples, and a note on what was left out or undefined."""
    if a is None or b is None:
        return None, None, "an AUROC has no per-unit values"
    kept_a, kept_b = _defined(a), _defined(b)
    dropped = len(a) + len(b) - len(kept_a) - len(kept_b)
    if min(len(kept_a), len(kept_b)) < 2:
        return None, None, "fewer than two units have a per-unit value"
    if np.ptp(kept_a) == 0 and np.ptp(kept_b) == 0:
        return None, None, "neither arm varies over its units"
    welch = tests.ttest_ind(kept_a, kept_b, equal_var=False).pvalue
    mann_whitney = tests.mannwhitneyu(kept_a, kept_b, alternative="two-sided").pvalue
    note = f"{dropped} units with a denominator of zero left out" if dropped else None
    return float(welch), float(mann_whitney), note


def _check(resamples: int, level: float) -> None:
    if resamples < 1 or not 0 < level < 1:
        raise LedgerError(
            f"A bootstrap takes at least 1 resample and a level between 0 and 1, "
            f"not {resamples} and {level}."
        )
