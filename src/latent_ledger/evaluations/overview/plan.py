"""Overview: interpretability against loss recovered, the sweep over k, and seeds."""

from __future__ import annotations

from typing import Any

from latent_ledger.evaluations.headtohead.plan import source
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Config,
    Jobs,
    PlannedJob,
    RowPlan,
    Settings,
    coders_measured_by,
    model_columns,
    without,
)

NAME = "overview"
PATH = f"{NAME}.json"
FIGURES = ("pareto.svg", "pareto.png", "sweep.svg", "sweep.png")
"""Files of the payload that the ledger puts beside itself, below results/figures/."""


def settings(config: Config) -> Settings | None:
    """Axes, the points measured on both, and per swept metric the contenders measured on it."""
    block = config["comparisons"].get(NAME)
    if block is None:
        return None
    x, y = block["fidelity"], block["interpretability"]
    on_x, on_y = (coders_measured_by(config, axis.partition(".")[0]) for axis in (x, y))
    contenders = {one.coder for one in on_x} & {one.coder for one in on_y}
    return {
        **without(block, "fidelity", "interpretability", "sweep"),
        "x": x,
        "y": y,
        "sources": {metric: source(metric) for metric in (x, y, *block["sweep"])},
        # A coder of a re-randomised model recovers that model's loss: no point beside the others.
        "points": [_point(one) for one in on_x if one in on_y and one.model == "original"],
        "sweep": {
            # Coders measured on both axes: those at other layers, say, have no place in the sweep.
            metric: [
                _point(one)
                for one in coders_measured_by(config, metric.partition(".")[0])
                if one.k is not None
                and one.model == "original"
                and not one.control
                and one.coder in contenders
            ]
            for metric in block["sweep"]
        },
    }


def _point(one: Any) -> Settings:
    kept = ("name", "coder", "architecture", "k", "seed", "control")
    return {key: getattr(one, key) for key in kept}


def inputs(config: Config) -> dict[str, list[str]]:
    """Source of a metric -> its manifests that the overview reads."""
    found: dict[str, dict[str, None]] = {}
    asked = settings(config)
    if asked is None:
        return {}
    read = [(asked[axis], asked["points"]) for axis in ("x", "y")]
    for metric, points in [*read, *asked["sweep"].items()]:
        place = source(metric)
        for point in points:
            found.setdefault(place, {})[paths.evaluation(place, point["name"])] = None
    return {place: list(manifests) for place, manifests in found.items()}


def jobs(config: Config) -> Jobs:
    """One job for the whole experiment."""
    asked = settings(config)
    return {PATH: PlannedJob(NAME, asked, inputs(config))} if asked else {}


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """Who is on the front, and how much the seeds matter."""
    asked = settings(config)
    if asked is None:
        return []
    columns = {**model_columns(config), "seed": str(asked["seed"])}
    return [
        RowPlan(run_id, row_type, PATH, {**columns, "coder_type": f"overview ({row_type})"})
        for run_id, row_type in (("pareto", "pareto"), ("seed-variance", "seeds"))
    ]
