"""Checks of the overview: its metrics exist, and two coders are measured on both of its axes."""

from collections.abc import Iterator
from typing import Any

from latent_ledger.config.checks_coders import metrics
from latent_ledger.config.coder_specs import coders_measured_by
from latent_ledger.config.problems import Problem, needs_sections
from latent_ledger.lib.suggestions import show, suggest

WHERE = ("comparisons", "overview")
AXES = ("fidelity", "interpretability")


@needs_sections("comparisons", "evaluations", "coders", "training")
def _overview(config: dict[str, Any]) -> Iterator[Problem]:
    overview = config["comparisons"].get("overview")
    if overview is None:
        return
    known = metrics(config)
    places: list[tuple[tuple[str | int, ...], str]] = [((axis,), overview[axis]) for axis in AXES]
    places += [(("sweep", index), metric) for index, metric in enumerate(overview["sweep"])]
    unknown = [
        Problem((*WHERE, *path), f"unknown metric {show(metric)}; {suggest(metric, known)}")
        for path, metric in places
        if metric not in known
    ]
    if unknown:
        yield from unknown
        return
    axes = [overview[axis].partition(".")[0] for axis in AXES]
    first, second = ({spec.name for spec in coders_measured_by(config, axis)} for axis in axes)
    if len(first & second) < 2:
        message = f"fewer than two coders are measured by both {axes[0]} and {axes[1]}"
        yield Problem(WHERE, f"{message}; widen evaluations.{axes[1]}.select")


CHECKS = (_overview,)
