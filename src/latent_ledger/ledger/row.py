"""Row of the ledger: its 18 columns for people, and its metrics and origin for machines."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

COLUMNS = (
    "run_id",
    "date",
    "config_hash",
    "git_commit",
    "model",
    "hookpoint",
    "coder_type",
    "width",
    "sparsity",
    "dataset",
    "tokens",
    "seed",
    "hardware",
    "wall_clock",
    "cost",
    "key_results",
    "label",
    "notes",
)
"""The 18 columns, in the order of the reference ledger."""

RUN_COLUMNS = ("date", "git_commit", "hardware", "wall_clock", "cost")
"""Columns that describe the run, not the result: a recomputation may change these alone."""


@dataclass
class Row:
    """One line of the ledger; `values` holds the 18 columns, the rest is for machines."""

    run_id: str
    row_type: str
    values: dict[str, str]
    metrics: list[dict[str, Any]] = field(default_factory=list)
    key: str = ""
    closure: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Ingredients of every manifest the number rests on, by path; empty without a number."""

    facts: dict[str, Any] = field(default_factory=dict)
    """The producer's facts besides its metrics; some sections are made of them."""

    main: Mapping[str, Any] | None = None
    """The metric that decides the verdict; None without a number, or where none decides."""

    alpha: float | None = None
    """The level below which a p of this row is significant; None without a number."""

    @property
    def label(self) -> str:
        """The verdict."""
        return self.values["label"]


def run_columns(record: Mapping[str, Any]) -> dict[str, str]:
    """The columns that come from a run record (:data:`RUN_COLUMNS`); empty without one."""
    if not record:
        return {}
    threads = record["threads"]
    return {
        "date": record["started"][:10],
        "git_commit": record["git_commit"],
        "hardware": f"{record['device']}, {threads} thread{'s' if threads > 1 else ''}",
        "wall_clock": f"{record['seconds']:.1f} s",
        "cost": _dollars(record["cost_usd"]),
    }


def _dollars(cost: float) -> str:
    """A cost in dollars; one below a cent is shown as such, and not as zero."""
    return "under $0.01" if 0 < cost < 0.005 else f"${cost:.2f}"


def make_row(run_id: str, row_type: str, values: Mapping[str, str], **more: Any) -> Row:
    """A row from the columns that are known; the other ones of the 18 stay empty."""
    known = {**values, "run_id": run_id}
    return Row(run_id, row_type, {name: str(known.get(name, "")) for name in COLUMNS}, **more)


def as_json(row: Row) -> dict[str, Any]:
    """A row for ``ledger.json``: its columns, its metrics, its facts and its key."""
    numbers = {"metrics": row.metrics, "facts": row.facts}
    return {"row_type": row.row_type, "key": row.key, **row.values, **numbers}
