"""Reading what :mod:`~.records` writes: a metric's record and the per-unit values behind it.

Apart from the writing, so that an edit here makes only those evaluations stale that read others.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latent_ledger.lib.errors import GateError, LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.lib.suggestions import nearest
from latent_ledger.statistics import resampling
from latent_ledger.statistics.records import ARGUMENTS, select

OWN_UNITS = {"latent", "feature"}
"""Units that belong to one coder: equal ids are not equal units, so they never pair."""


def metric_record(folder: Path, metric: str) -> dict[str, Any]:
    """The record of `metric` in the `metrics.json` of an evaluation folder.

    Raises :class:`LedgerError` naming the nearest metric when there is none of that name.
    """
    records = read_json(Path(folder) / "metrics.json")["metrics"]
    names = [record["name"] for record in records]
    if metric not in names:
        raise LedgerError(f"{folder} has no metric {metric!r}{nearest_of(metric, names)}")
    if (times := names.count(metric)) > 1:
        raise LedgerError(f"{folder} records {metric!r} {times} times: names must be unique.")
    return records[names.index(metric)]


def folder_of(
    metric: str, spec: str, settings: Mapping[str, Any], tables: Mapping[str, Path]
) -> Path:
    """The evaluation folder that holds a coder's "<evaluation>.<metric>".

    `settings`: ``sources``, for a metric whose evaluation has another name than its prefix.
    Raises :class:`LedgerError` naming the nearest evaluation when `tables` has no such folder.
    """
    source = settings.get("sources", {}).get(metric, metric.partition(".")[0])
    key = f"{source}/{spec}"
    if key not in tables:
        raise LedgerError(f"No evaluation {key!r} was given to compare{nearest_of(key, tables)}")
    return Path(tables[key])


def values_of(folder: Path, metric: str) -> resampling.Values:
    """The per-unit values from which `metric` of an evaluation folder is recomputed.

    Raises :class:`LedgerError` when the metric, its table or a column is missing, and
    :class:`GateError` when they do not give the recorded estimate (1e-5 relative).
    """
    return values_and_column(folder, metric)[0]


def values_and_column(
    folder: Path, metric: str, match: str = ""
) -> tuple[resampling.Values, np.ndarray | None]:
    """:func:`values_of`, and the column `match` of the same rows; None without one."""
    record = metric_record(folder, metric)
    statistic, name = record.get("statistic"), record.get("table")
    if statistic not in ARGUMENTS or not name:
        raise LedgerError(f"Metric {metric!r} has no per-unit values: it cannot be compared.")
    roles = ("unit_id", *ARGUMENTS[statistic])
    missing = [role for role in roles if role not in record["columns"]]
    if missing:
        raise LedgerError(f"Metric {metric!r}, a {statistic}, names no column for {missing[0]!r}.")
    columns = [*(record["columns"][role] for role in roles), *([match] if match else [])]
    where, path = record.get("where") or {}, Path(folder) / name
    if not path.is_file():
        raise LedgerError(f"{path}, the table of metric {metric!r}, does not exist.")
    # ParquetFile, not read_table: the latter adds columns for folders named "key=value".
    with pq.ParquetFile(path) as file:
        known = file.schema_arrow.names
        for column in [*columns, *where]:
            if column not in known:
                raise LedgerError(f"{path} has no column {column!r}{nearest_of(column, known)}")
        table = file.read(columns=sorted({*columns, *where}))
    table = table.filter(pa.array(select(table, where)))
    if table[columns[0]].null_count:
        raise LedgerError(f"{path} has rows without a {columns[0]}, the unit of {metric!r}.")
    arrays = [table[column].to_numpy() for column in columns]
    keys = arrays.pop() if match else None
    try:
        values = resampling.Values(arrays[0], statistic, *arrays[1:])
    except LedgerError as error:
        raise LedgerError(f"Metric {metric!r} of {path}: {error}") from None
    recomputed, recorded = values.estimate(), record["estimate"]
    if recorded is None or not math.isclose(recomputed, recorded, rel_tol=1e-5, abs_tol=1e-6):
        raise GateError(
            f"recomputed estimate: {path} gives {recomputed:.6g} for {metric!r}, "
            f"but its record says {recorded}."
        )
    return values, keys


def nearest_of(name: str, known: Iterable[str]) -> str:
    """The end of an error line: the nearest known name, or all there are."""
    known = sorted(known)
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else f"; there are: {', '.join(known) or 'none'}."
