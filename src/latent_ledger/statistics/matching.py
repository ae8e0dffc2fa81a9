"""Matched units: latents of two coders, paired by how often they fire.

    log keys of both arms -> which pairs may be (caliper) -> the assignment of least cost -> pairs

A latent of a coder is no latent of another, so their scores cannot be subtracted unit by unit.
Where firing frequency moves a score, two samples that differ in it differ in the score without any
coder being better. Matched on it, the pairs are units that a paired bootstrap can draw.

Sources: Rosenbaum, Optimal matching for observational studies (1989); Austin, Optimal caliper
widths (2011).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from latent_ledger.lib.errors import LedgerError
from latent_ledger.statistics.resampling import Values


class TooFewAlike(LedgerError):
    """Two arms have fewer than two units that are alike: there is no contrast, and no fault."""


CALIPER = 1.25
"""Matched units differ in their key by at most this factor; others have no like and stay out.

About a fifth of the standard deviation of log firing frequencies, as Austin (2011) advises.
"""


def matched(
    a: Values, b: Values, key_a: np.ndarray, key_b: np.ndarray
) -> tuple[Values, Values, np.ndarray]:
    """Pair the units of two arms one to one by a positive key of theirs, as alike as can be.

    `key_a`, `key_b`: one per unit, in the order of `a` and `b`. As many pairs as there can be
    within :data:`CALIPER`, and of these the ones whose squared differences of log keys sum to the
    least. Returns both arms with a pair's number as unit id, and per pair the ratio of the larger
    key to the smaller. Raises :class:`LedgerError` for a key that is not positive, and
    :class:`TooFewAlike` for fewer than two pairs.
    """
    sides = []
    for values, key in ((a, key_a), (b, key_b)):
        key = np.asarray(key, dtype=np.float64)
        if not (key > 0).all():
            raise LedgerError("Units are matched by a positive number, and some have none.")
        order = np.argsort(values.unit_ids, kind="stable")
        sides.append((values.ordered(), np.log(key[order])))
    (a, log_a), (b, log_b) = sides
    apart = np.abs(log_a[:, None] - log_b[None, :])
    alike = apart <= np.log(CALIPER) + 1e-12
    # A pair that may not be costs more than all that may together, so none is taken needlessly.
    chosen = linear_sum_assignment(np.where(alike, apart**2, 1.0 + apart[alike].sum()))
    chosen = [side[alike[chosen]] for side in chosen]
    if len(chosen[0]) < 2:
        raise TooFewAlike(
            f"of {len(a)} and {len(b)} units only {len(chosen[0])} could be matched within a "
            f"factor of {CALIPER:g}"
        )
    pairs = np.arange(len(chosen[0]))
    arms = [
        replace(v, unit_ids=pairs, a=v.a[own], b=None if v.b is None else v.b[own])
        for v, own in zip((a, b), chosen, strict=True)
    ]
    return *arms, np.exp(apart[tuple(chosen)])
