"""Checks of the overview: its metrics exist, and two coders are measured on both of its axes."""

from collections.abc import Iterator
from typing import Any

from latent_ledger.config.checks_coders import metrics
from latent_ledger.config.coder_specs import coders_measured_by
from latent_ledger.config.problems import Problem, needs_sections
from latent_ledger.lib.suggestions import show, suggest

WHERE = ("comparisons", "overview")


@needs_sections("comparisons", "evaluations", "coders", "training")
def _overview(config: dict[str, Any]) -> Iterator[Problem]:
    overview = config["comparisons"].get("overview")
    if overview is None:
        return
    known = metrics(config)
    named: dict[tuple[str | int, ...], str] = {
        ("fidelity",): overview["fidelity"],
        ("interpretability",): overview["interpretability"],
    }
    named |= {("sweep", index): metric for index, metric in enumerate(overview["sweep"])}
    unknown = False
    for path, metric in named.items():
        if metric not in known:
            unknown = True
            message = f"unknown metric {show(metric)}; {suggest(metric, known)}"
            yield Problem((*WHERE, *path), message)
    if unknown:
        return
    axes = [overview[axis].partition(".")[0] for axis in ("fidelity", "interpretability")]
    first, second = ({spec.name for spec in coders_measured_by(config, axis)} for axis in axes)
    if len(first & second) < 2:
        message = f"fewer than two coders are measured by both {axes[0]} and {axes[1]}"
        yield Problem(WHERE, f"{message}; widen evaluations.{axes[1]}.select")


CHECKS = (_overview,)
