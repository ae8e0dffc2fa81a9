"""Overview: interpretability against loss recovered, the sweep over k, and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.formatting import table
from latent_ledger.evaluations.headtohead.plan import source
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Config,
    Finding,
    Jobs,
    RowPlan,
    Settings,
    Stage,
    coders_measured_by,
    metrics_of,
    model_columns,
    without,
)

NAME = "overview"
PATH = f"results/{NAME}.json"
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
    return {PATH: (NAME, asked)} if asked else {}


def rows(config: Config) -> list[RowPlan]:
    """Who is on the front, and how much the seeds matter."""
    asked = settings(config)
    if asked is None:
        return []
    needs = [path for manifests in inputs(config).values() for path in manifests] + [PATH]
    columns = {**model_columns(config), "seed": str(asked["seed"])}
    return [
        RowPlan(run_id, kind, PATH, {**columns, "coder_type": f"overview ({kind})"}, needs=needs)
        for run_id, kind in (("pareto", "pareto"), ("seed-variance", "seeds"))
    ]


def read_pareto(row: RowPlan, payload: Payload) -> Finding:
    """The contenders on the front, with the share of resamples that agree."""
    facts = payload.facts
    front = [point for point in facts["pareto"] if point["on_front"]]
    said = "; ".join(
        f"{point['name']} (on the front in {point['front_share']:.0%} of resamples)"
        for point in front
    )
    contenders = sum(not point["control"] for point in facts["pareto"])
    text = (
        f"Pareto front of {facts['x']} and {facts['y']}: {said} "
        f"(n={contenders} contenders, {len(facts['pareto']) - contenders} controls)"
    )
    return Finding(text, metrics=metrics_of(payload))


def read_seeds(row: RowPlan, payload: Payload) -> Finding:
    """Per metric, the largest ratio of the spread over seeds to the sampling error."""
    found = payload.facts["seeds"]
    if not found:
        return Finding("one seed per coder: the spread over seeds was not measured")
    said = []
    for metric in dict.fromkeys(entry["metric"] for entry in found):
        worst = max(
            (entry for entry in found if entry["metric"] == metric),
            key=lambda entry: entry["seed_sd"] / max(entry["sampling_se"], 1e-12),
        )
        said.append(
            f"{metric}: at most {worst['seed_sd']:.4f} over seeds against "
            f"{worst['sampling_se']:.4f} of sampling "
            f"({worst['coder']}, k={worst['k']}, n={worst['seeds']} seeds)"
        )
    return Finding("; ".join(said))


def section(current: Sequence[Any]) -> str:
    """The Pareto figure and table, the sweep, and the table of seeds."""
    facts = next((row.facts for row in current if row.row_type == "pareto" and row.facts), None)
    if facts is None:
        return ""
    lines = [
        (
            f"`{point['name']}`" + (" (control)" if point["control"] else ""),
            _with_interval(point, "x"),
            _with_interval(point, "y"),
            "" if point["control"] else "yes" if point["on_front"] else "no",
            "" if point["control"] else f"{point['front_share']:.0%}",
        )
        for point in facts["pareto"]
    ]
    header = ("coder", facts["x"], facts["y"], "on the front", "share of resamples")
    parts = [
        "## Who is on the Pareto front?",
        "![Fidelity against interpretability](figures/pareto.svg)",
        "Fidelity against interpretability, 95% intervals. A coder is on the front when no other "
        "contender is at least as good on both and better on one; the share says in how many "
        "bootstrap resamples that holds. Controls are never on it.",
        table(header, lines, range(1, 5)),
        "### What does k change?",
        "![Metrics against k](figures/sweep.svg)",
    ]
    if facts["seeds"]:
        header = ("metric", "coder", "k", "seeds", "mean", "sd over seeds", "sampling error")
        parts += [
            "### How much do seeds matter?",
            "A difference smaller than the spread over seeds is a difference between runs, not "
            "between coders.",
            table(
                header,
                [
                    (
                        entry["metric"],
                        f"`{entry['coder']}`",
                        str(entry["k"]),
                        str(entry["seeds"]),
                        f"{entry['mean']:.3f}",
                        f"{entry['seed_sd']:.4f}",
                        f"{entry['sampling_se']:.4f}",
                    )
                    for entry in facts["seeds"]
                ],
                range(2, 7),
            ),
        ]
    return "\n\n".join(parts)


def _with_interval(point: dict[str, Any], axis: str) -> str:
    low, high = point[f"{axis}_low"], point[f"{axis}_high"]
    text = f"{point[axis]:.3f}"
    return text if low is None or high is None else f"{text} [{low:.3f}, {high:.3f}]"


STAGE = Stage(
    NAME,
    jobs=jobs,
    rows=rows,
    readers={"pareto": read_pareto, "seeds": read_seeds},
    section=section,
)
