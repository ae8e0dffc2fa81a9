"""Expected cost of every row of the reference ledger, alone and added to the rows above it.

    latent-ledger costs config/config.yaml

prints the table that the README shows. *Alone* is the cost of every job upstream of a row. Rows
share most of these jobs, and each job runs once: *added* is the cost of the jobs that no row above
has, so the column sums to the total.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latent_ledger.evaluations.formatting import table
from latent_ledger.planning import graph, paths
from latent_ledger.planning.estimates import Planner
from latent_ledger.resources import bill
from latent_ledger.resources.prices import Prices


@dataclass(frozen=True)
class RowCost:
    """One reference row: the GPUs of its jobs, their minutes, and USD alone and added."""

    run_id: str
    gpus: tuple[str, ...]
    minutes: float
    alone: float
    adds: float


def row_costs(config: Mapping[str, Any], rates: Prices) -> list[RowCost]:
    """The reference rows of a validated configuration, in its order."""
    planner = Planner(config)
    upstream = {
        row.run_id: graph.manifests_behind(row, planner.jobs)
        for row in graph.rows(config, planner.jobs)
    }
    paid: set[str] = set()
    costs = []
    for name, entry in config["references"].items():
        rows = dict.fromkeys(measurement["row"] or name for measurement in entry["measurements"])
        jobs = jobs_by_record(planner, [path for row in rows for path in upstream[row]])
        gpus = {item.gpu for item in jobs.values() if item.gpu}
        minutes = sum(item.seconds for item in jobs.values()) / 60
        alone = bill.total(jobs.values(), rates)
        added = bill.total([jobs[record] for record in jobs if record not in paid], rates)
        paid |= set(jobs)
        costs.append(RowCost(name, tuple(sorted(gpus, reverse=True)), minutes, alone, added))
    return costs


def jobs_by_record(planner: Planner, manifests: Sequence[str]) -> dict[str, bill.Item]:
    """The jobs behind manifests by the name of their record: one job may make several."""
    items: dict[str, bill.Item] = {}
    for path in manifests:
        estimate = planner.job(path)
        record = path if path in paths.LEDGER else graph.record_name(path, planner.jobs[path])
        gpus = 1 if estimate.gpu else 0
        item = bill.Item("", record, estimate.seconds, estimate.gpu, gpus, mem_mb=estimate.mem_mb)
        items.setdefault(record, item)
    return items


def page(config: Mapping[str, Any], rates: Prices) -> str:
    """The table as Markdown, with its sum and the date of its prices."""
    rows = row_costs(config, rates)
    lines = []
    for row in rows:
        amounts = (f"{row.minutes:,.0f}", f"{row.alone:.2f}", f"{row.adds:.2f}")
        lines.append((f"`{row.run_id}`", " + ".join(row.gpus) or "-", *amounts))
    lines.append(("all of these", "", "", "", f"{sum(row.adds for row in rows):.2f}"))
    head = ("row", "GPU", "minutes alone", "USD alone", "USD added")
    return f"{table(head, lines, right=(2, 3, 4))}\n\nPrices of {rates.date}; {bill.ERROR}.\n"
