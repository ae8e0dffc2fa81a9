"""Payloads of made-up metrics, no two of which are alike, for the tests of what rows say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from latent_ledger.lib.files import read_json, write_json
from latent_ledger.planning.stage import Finding, RowPlan


def metrics(unit: str, estimates: Mapping[str, float], **more: Mapping[str, Any]) -> list[dict]:
    """Metrics in the order given, n = 10, 11, 12 and so on; an interval is [-0.01, +0.02] around.

    `more`: field -> its values by the name of the metric.
    """
    assert len(set(estimates.values())) == len(estimates), "two metrics share a value"
    return [
        {
            "name": name,
            "estimate": estimate,
            "ci": [round(estimate - 0.01, 6), round(estimate + 0.02, 6)],
            "unit": unit,
            "n": 10 + place,
            **{field: values[name] for field, values in more.items() if name in values},
        }
        for place, (name, estimate) in enumerate(estimates.items())
    ]


def payload(folder: Path, metrics: list[dict], **facts: Any) -> SimpleNamespace:
    """A payload as a row is read from it."""
    write_json(folder / "metrics.json", {"metrics": metrics})
    return SimpleNamespace(folder=lambda: folder, facts=facts)


def read(rows: ModuleType, row: RowPlan, payload: Any, main: str, null: float | None) -> Finding:
    """The content of a row, with all of its metrics, this main one and this null."""
    finding = rows.read(row, payload)
    assert finding.metrics == read_json(payload.folder() / "metrics.json")["metrics"]
    assert finding.main is not None
    assert (finding.main["name"], finding.null) == (main, null)
    return finding


def shown(run_id: str, row_type: str, finding: Finding, **more: Any) -> SimpleNamespace:
    """A row as the sections of the ledger see it."""
    fields = {"values": {"model": "a model"}, "facts": {}, "label": "novel", "alpha": 0.05}
    return SimpleNamespace(
        run_id=run_id, row_type=row_type, metrics=finding.metrics, **(fields | more)
    )


def cells(section: str, run: str) -> list[str]:
    """The cells of the only line of a table that begins with `run`, after its name."""
    (line,) = (line for line in section.splitlines() if line.startswith(f"| `{run}` |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def line(rows: ModuleType, row: RowPlan, payload: Any) -> dict[str, str]:
    """Heading -> cell of a row in its section, whose name is the run id behind the first dash."""
    section = rows.section([shown(row.run_id, row.row_type, rows.read(row, payload))])
    return headed(section, row.run_id.partition("-")[2])


def headed(section: str, run: str) -> dict[str, str]:
    """Heading -> cell of the only line of the only table that begins with `run`."""
    header = next(line for line in section.splitlines() if line.startswith("| "))
    names = [cell.strip() for cell in header.strip("|").split("|")][1:]
    assert len(set(names)) == len(names), "two columns have one heading"
    return dict(zip(names, cells(section, run), strict=True))
