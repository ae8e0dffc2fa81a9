"""Form of written numbers: the rounding of floats, and the rows of a Parquet group.

Every JSON file and every digest of settings goes through :func:`canonical`. An edit here changes
bytes, so this module is part of every job's code digest, unlike :mod:`latent_ledger.lib.files`.
"""

import math
from typing import Any

SIGNIFICANT_DIGITS = 10
"""Digits kept of a float in JSON: enough for any metric, few enough to read."""

ROW_GROUP = 65_536
"""Rows of a group in the Parquet tables of results. It is fixed, because bytes depend on it."""


def canonical(value: Any) -> Any:
    """Round floats to :data:`SIGNIFICANT_DIGITS` and replace NaN by null, recursively."""
    if isinstance(value, bool) or value is None or isinstance(value, int | str):
        return value
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return canonical(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot be written as JSON: {value!r}")
