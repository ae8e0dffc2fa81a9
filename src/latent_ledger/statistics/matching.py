"""Matched units: latents of two coders, paired by firing frequency.

    log keys of both arms -> admissible pairs (caliper) -> the assignment of least cost -> pairs

Latents of different coders are different units. Where firing frequency moves a score, two samples
that differ in it differ in the score without any coder being better; matched on it, the pairs are
units that a paired bootstrap can draw.

Sources: Rosenbaum, Optimal matching for observational studies (1989); Austin, Optimal caliper
widths (2011).
"""

from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from latent_ledger.lib.errors import LedgerError
from latent_ledger.statistics.resampling import Values


class TooFewAlike(LedgerError):
    """Two arms have fewer than two pairs of alike units: no contrast exists. It is no fault."""


CALIPER = 1.25
"""Matched units differ in their key by at most this factor; other units are left out.

About a fifth of the standard deviation of log firing frequencies, as Austin (2011) advises.
"""


def matched(
    a: Values, b: Values, key_a: np.ndarray, key_b: np.ndarray
) -> tuple[Values, Values, np.ndarray]:
    """Pair the units of two arms one to one by a positive key, as alike as possible.

    `key_a`, `key_b`: one per unit, in the order of `a` and `b`. The matching has the most pairs
    within :data:`CALIPER`, and of such matchings the least sum of squared differences of log keys.
    Returns both arms with a pair's number as unit id, and per pair the ratio of the larger key to
    the smaller. Raises :class:`LedgerError` for a key that is not positive.
    """
    sides = []
    for values, key in ((a, key_a), (b, key_b)):
        key = np.asarray(key, dtype=np.float64)
        if not (key > 0).all():
            raise LedgerError("Units are matched by a positive number, and some have none.")
        order = np.argsort(values.unit_ids, kind="stable")
        sides.append((values.take(order), np.log(key[order])))
    (a, log_a), (b, log_b) = sides
    distance = np.abs(log_a[:, None] - log_b[None, :])
    alike = distance <= np.log(CALIPER) + 1e-12
    # An inadmissible pair costs more than all admissible pairs together: a last resort.
    cost = np.where(alike, distance**2, 1.0 + distance[alike].sum())
    rows, columns = linear_sum_assignment(cost)
    admissible = alike[rows, columns]
    rows, columns = rows[admissible], columns[admissible]
    if len(rows) < 2:
        raise TooFewAlike(
            f"of {len(a)} and {len(b)} units only {len(rows)} could be matched within a "
            f"factor of {CALIPER:g}"
        )
    pairs = np.arange(len(rows))
    a, b = (replace(arm.take(units), unit_ids=pairs) for arm, units in ((a, rows), (b, columns)))
    return a, b, np.exp(distance[rows, columns])
