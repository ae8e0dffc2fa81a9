"""Verdicts of rows, computed from their metrics and never typed.

* ``reproduced`` / ``not reproduced``: a reference value is declared, and the estimate lies within
  its tolerance or does not;
* ``inconclusive``: the interval includes the null, or Holm's correction over the declared family
  takes the significance away;
* ``novel``: a number without a reference, whose interval (if it has one) excludes the null;
* ``failed``: there is no number, and the row has the reason;
* ``stale``: the number was not made by the current code and settings, so it is not shown;
* ``superseded``: a newer record of the same run id exists.
"""

from collections.abc import Mapping
from typing import Any


def holds(reference: Mapping[str, Any], estimate: float) -> bool:
    """Whether `estimate` lies within the ``tolerance`` (inclusive) of the reported ``value``."""
    return abs(estimate - reference["value"]) <= reference["tolerance"]


def verdict(
    metric: Mapping[str, Any] | None,
    *,
    null: float | None,
    alpha: float,
    reference: Mapping[str, Any] | None = None,
) -> str:
    """Label of a row whose main metric is `metric` (a record of metrics.json; None: no number).

    `null` is the value of "no effect"; None where the question does not arise (a trained coder).
    """
    if reference is not None and metric is not None:
        return "reproduced" if holds(reference, metric["estimate"]) else "not reproduced"
    if metric is None or null is None:
        return "novel"
    interval, p = metric.get("ci"), metric.get("p_holm")
    if interval is None or interval[0] <= null <= interval[1] or (p is not None and p >= alpha):
        return "inconclusive"
    return "novel"
