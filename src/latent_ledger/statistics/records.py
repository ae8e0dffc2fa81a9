"""Metric records: the metrics, tables and facts that every evaluation writes.

An evaluation is a folder with ``metrics.json`` and Parquet tables of per-unit values::

    {"metrics": [{name, estimate, ci, unit, n, seed, resamples, version, higher_is_better,
                  statistic, table, columns, where, description}, ...],
     "facts": {...}}

``statistic``, ``table``, ``columns`` and ``where`` say how :class:`Records` computes the estimate
from a table, so that a head-to-head can compare any metric without knowing its evaluation: keep the
rows whose columns equal ``where``, then take the mean of ``value``, the ratio of the sums of
``numerator`` and ``denominator``, or the AUROC of ``score`` against ``label``.

Equal content gives equal bytes: tables keep the order they are given in, JSON keys are sorted.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import binomtest

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import write_json
from latent_ledger.lib.numbers import ROW_GROUP
from latent_ledger.statistics.resampling import Statistic, Values, estimate

ARGUMENTS = {"mean": ("value",), "ratio": ("numerator", "denominator"), "auroc": ("score", "label")}
"""Per statistic, the roles in `columns` that become the arguments of ``Values``."""

Sums = dict[str, np.ndarray]
"""Name -> one float64 sum per unit (a document), [units]; see :func:`add_rows`."""


def select(table: pa.Table, where: Mapping[str, Any]) -> np.ndarray:
    """Boolean mask [rows] of the rows whose columns equal every value in `where`."""
    keep = np.ones(table.num_rows, dtype=bool)
    for column, value in where.items():
        keep &= table[column].to_numpy(zero_copy_only=False) == value
    return keep


def by_column(rows: Iterable[Mapping[str, Any]]) -> dict[str, list]:
    """The columns of a table from its rows, at least one, all with the same names."""
    rows = list(rows)
    return {name: [row[name] for row in rows] for name in rows[0]}


def stacked(parts: Iterable[Mapping[str, Sequence | np.ndarray]]) -> dict[str, np.ndarray]:
    """The columns of a table from those of its parts, at least one, one below the other."""
    parts = list(parts)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class Records:
    """Collects the tables and metrics of one evaluation and writes them into its folder."""

    def __init__(self, out: Path, *, resamples: int, seed: int) -> None:
        self.out = Path(out)
        self.resamples, self.seed = int(resamples), int(seed)
        self.tables: dict[str, pa.Table] = {}
        self.metrics: dict[str, dict[str, Any]] = {}

    def table(self, name: str, columns: Mapping[str, Sequence | np.ndarray]) -> None:
        """Write `columns` (equal lengths) as the Parquet table `name` and remember it."""
        self.tables[name] = pa.table(dict(columns))
        pq.write_table(
            self.tables[name], self.out / name, compression="zstd", row_group_size=ROW_GROUP
        )

    def measure(
        self,
        name: str,
        statistic: str,
        table: str,
        *,
        unit: str,
        higher_is_better: bool | None,
        description: str,
        where: Mapping[str, Any] | None = None,
        **columns: str,
    ) -> float:
        """Record a metric computed from `table`, its interval by bootstrap over the units.

        `columns` names the table's columns by role (`unit_id`, `value`, ...). Returns the estimate.
        """
        where, rows = dict(where or {}), self.tables[table]
        keep = select(rows, where)
        if not keep.any():
            raise LedgerError(
                f"{name} has no {unit} to be measured on: give this evaluation more tokens."
            )
        roles = ("unit_id", *ARGUMENTS[statistic])
        ids, *arguments = (rows[columns[role]].to_numpy()[keep] for role in roles)
        values = Values(ids, cast(Statistic, statistic), *arguments)
        interval = estimate(values, resamples=self.resamples, seed=self.seed)
        self.add(
            name,
            interval.estimate,
            ci=interval.ci,
            unit=unit,
            n=interval.n,
            seed=self.seed,
            resamples=self.resamples,
            higher_is_better=higher_is_better,
            statistic=statistic,
            table=table,
            columns=columns,
            where=where,
            description=description,
        )
        return interval.estimate

    def share(
        self,
        name: str,
        table: str,
        *,
        unit_id: str,
        value: str,
        description: str,
        **about: Any,
    ) -> None:
        """Record the share of rows of `table` whose column `value` is true; Wilson's interval.

        `about`: unit and higher_is_better, as :meth:`add` takes them.
        """
        flags = self.tables[table][value].to_numpy()
        self.add(
            name,
            flags.mean(),
            ci=binomtest(int(flags.sum()), len(flags)).proportion_ci(method="wilson"),
            n=len(flags),
            statistic="mean",
            table=table,
            columns={"unit_id": unit_id, "value": value},
            description=f"{description}; Wilson interval.",
            **about,
        )

    def add(
        self,
        name: str,
        estimate: float,
        *,
        unit: str,
        n: int,
        higher_is_better: bool | None,
        description: str,
        ci: Sequence[float] | None = None,
        **rest: Any,
    ) -> None:
        """Record a number as it is; `rest` overrides the defaults of the remaining fields."""
        if name in self.metrics:
            raise ValueError(f"The metric {name} is recorded twice.")
        self.metrics[name] = {
            "name": name,
            "estimate": float(estimate),
            "ci": None if ci is None else [float(end) for end in ci],
            "unit": unit,
            "n": int(n),
            "seed": None,
            "resamples": None,
            "version": 1,
            "higher_is_better": higher_is_better,
            "statistic": None,
            "table": None,
            "columns": {},
            "where": {},
            "description": description,
        } | rest

    def write(self, facts: Mapping[str, Any]) -> None:
        """Write ``metrics.json``: the metrics in the order they were recorded, then `facts`."""
        record = {"metrics": list(self.metrics.values()), "facts": dict(facts)}
        write_json(self.out / "metrics.json", record)


def add_rows(sums: Sums, owner: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
    """Add `values` (name -> [rows]) to the sums of the unit that owns each row.

    `owner` [rows] are unit numbers; rows owned by none (-1) are left out.
    """
    kept = owner >= 0
    for name, value in values.items():
        sums[name] += np.bincount(owner[kept], value[kept], minlength=len(sums[name]))
