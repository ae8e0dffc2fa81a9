"""Ledger as Markdown: a summary, then every row in full; equal rows give equal text."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from latent_ledger.evaluations.formatting import table
from latent_ledger.ledger import references
from latent_ledger.ledger.row import Row
from latent_ledger.planning.registry import STAGES

TITLES = {"hookpoint": "layer/hookpoint", "sparsity": "sparsity/L0", "cost": "cost_est"}
"""Headings that differ from the column's name."""

VERDICTS = ("reproduced", "not reproduced", "novel", "inconclusive", "failed", "stale")
"""Verdicts of current rows, in the order of the headline."""


def markdown(config: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """The whole ledger: headline, one section per stage, then the 18 columns of every row."""
    current = [row for row in rows if row.label != "superseded"]
    sections = [
        f"# The ledger of *{config['experiment']}*",
        _headline(current, len(rows) - len(current)),
        _trouble(current),
        references.section(current),
        *(stage.section(current) for stage in STAGES if stage.section),
        _full(rows),
        _how_to_read(config),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _headline(current: Sequence[Row], superseded: int) -> str:
    counts = Counter(row.label for row in current)
    phrases = [f"{counts[name]} {name}" for name in VERDICTS if counts[name]]
    line = f"{len(current)} rows: {', '.join(phrases)}."
    if superseded:
        line += f" {superseded} earlier record{'s' if superseded > 1 else ''} superseded."
    return line


def _trouble(current: Sequence[Row]) -> str:
    """Rows without a number, first, because they matter most."""
    lines = [
        (f"`{row.run_id}`", row.label, row.values["notes"])
        for row in current
        if row.label in ("failed", "stale")
    ]
    return "## What is missing\n\n" + table(("run", "verdict", "why"), lines) if lines else ""


def _full(rows: Sequence[Row]) -> str:
    columns = list(rows[0].values) if rows else []
    header = [TITLES.get(name, name) for name in columns]
    lines = [[row.values[name] for name in columns] for row in rows]
    return "## Every row\n\n" + table(header, lines)


def _how_to_read(config: Mapping[str, Any]) -> str:
    return (
        "## How to read this\n\n"
        "Nobody types into this file: `snakemake results/ledger.md` renders it from metrics and "
        "run records. `config_hash` is the action key: rule, settings, code, environment and the "
        "content of all inputs. `date`, `git_commit`, `hardware`, `wall_clock` and `cost_est` "
        "describe the run that computed the number; they stay as they are when a result is "
        f"restored from the store. Verdicts use alpha = {config['ledger']['alpha']:g}."
    )
