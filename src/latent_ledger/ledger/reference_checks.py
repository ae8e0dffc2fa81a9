"""Checks of the references: each names rows that will exist, and metrics that they will have.

Rows follow from the whole configuration, so these checks run last, and only on a configuration
without other problems. Metrics are checked where the row's evaluation declares them. A name that
only the finished measurement has is checked when the ledger is written.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from latent_ledger.config.checks_coders import metrics
from latent_ledger.config.problems import Problem, Where
from latent_ledger.lib.suggestions import show, suggest
from latent_ledger.planning import graph
from latent_ledger.planning.registry import STAGES


def problems(config: dict[str, Any]) -> Iterator[Problem]:
    """What is wrong with the references of an otherwise valid configuration."""
    if not config["references"]:
        return
    row_types = {row.run_id: row.row_type for row in graph.rows(config)}
    known = _heads(config)
    for name, entry in config["references"].items():
        for index, measurement in enumerate(entry["measurements"]):
            path: Where = ("references", name, "measurements", index)
            row = measurement["row"] or name
            if row in row_types:
                yield from _metric(measurement, row_types[row], known, path)
                continue
            what = (
                f"the ledger has no row {show(row)}; {suggest(row, row_types)} Or take the entry "
                f"out: references: {{{name}: absent}}"
            )
            yield Problem((*path, "row") if measurement["row"] else path, what)


def _metric(
    measurement: Mapping[str, Any], row_type: str, known: Mapping[str, set[str]], path: Where
) -> Iterator[Problem]:
    """A measurement's metric exists, and its value comes with a tolerance and a metric."""
    metric, value, tolerance = (measurement[key] for key in ("metric", "value", "tolerance"))
    if (value is None) != (tolerance is None):
        missing = "tolerance" if tolerance is None else "value"
        yield Problem((*path, missing), "missing; a reported value and its tolerance go together")
    heads = known.get(row_type)
    if metric is None:
        if value is not None and any(row_type in stage.undecided for stage in STAGES):
            what = f"{row_type} has no main metric: name one, or leave out value and tolerance"
            yield Problem((*path, "metric"), what)
    elif heads and metric.partition("/")[0] not in heads:
        what = f"{row_type} has no metric {show(metric)}; {suggest(metric, sorted(heads))}"
        yield Problem((*path, "metric"), what)


def _heads(config: dict[str, Any]) -> dict[str, set[str]]:
    """Evaluation -> names of its metrics, without what follows a slash; and those of training."""
    heads: dict[str, set[str]] = {"train": {"tokens", "fvu", "dead_share"}}
    for full in metrics(config):
        evaluation, _, name = full.partition(".")
        heads.setdefault(evaluation, set()).add(name.partition("/")[0])
    for circuit in config["evaluations"].get("circuits", {}).get("multilayer", {}).values():
        heads.setdefault("multilayer_circuits", set()).update(
            re.sub(r"\d+$", str(size), name)
            for name in heads.get("circuits", set())
            for size in circuit["top_k"]
        )
    return heads
