"""Planning of the overview: interpretability against loss recovered, the sweep over k, seeds."""

from latent_ledger.config.coder_specs import CoderSpec, coders_measured_by
from latent_ledger.evaluations.headtohead.plan import source
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Config,
    Jobs,
    PlannedJob,
    RowPlan,
    Settings,
    model_columns,
    without,
)

NAME = "overview"
PATH = f"{NAME}.json"
FIGURES = ("pareto.svg", "pareto.png", "sweep.svg", "sweep.png")
"""Files of the payload that the ledger copies to results/figures/."""


def settings(config: Config) -> Settings | None:
    """Axes, points measured on both, and per swept metric its contenders; None without a block."""
    block = config["comparisons"].get(NAME)
    if block is None:
        return None
    x, y = block["fidelity"], block["interpretability"]
    on_x, on_y = (coders_measured_by(config, axis.partition(".")[0]) for axis in (x, y))
    contenders = {spec.coder for spec in on_x} & {spec.coder for spec in on_y}
    return {
        **without(block, "fidelity", "interpretability", "sweep"),
        "x": x,
        "y": y,
        "sources": {metric: source(metric) for metric in (x, y, *block["sweep"])},
        # A coder of a re-randomised model recovers that model's loss: no point among the others.
        "points": [_point(spec) for spec in on_x if spec in on_y and spec.model == "original"],
        "sweep": {
            # Coders measured on both axes: those at other layers, say, have no place in the sweep.
            metric: [
                _point(spec)
                for spec in coders_measured_by(config, metric.partition(".")[0])
                if spec.k is not None
                and spec.model == "original"
                and not spec.control
                and spec.coder in contenders
            ]
            for metric in block["sweep"]
        },
    }


def _point(spec: CoderSpec) -> Settings:
    fields = ("name", "coder", "architecture", "k", "seed", "control")
    return {key: getattr(spec, key) for key in fields}


def inputs(config: Config) -> dict[str, list[str]]:
    """Source of a metric -> its manifests that the overview reads."""
    planned = settings(config)
    if planned is None:
        return {}
    manifests: dict[str, dict[str, None]] = {}
    axes = [(planned[axis], planned["points"]) for axis in ("x", "y")]
    for metric, points in [*axes, *planned["sweep"].items()]:
        evaluation = source(metric)
        for point in points:
            path = paths.evaluation(evaluation, point["name"])
            manifests.setdefault(evaluation, {})[path] = None
    return {evaluation: list(names) for evaluation, names in manifests.items()}


def jobs(config: Config) -> Jobs:
    """One job for the whole experiment."""
    planned = settings(config)
    return {PATH: PlannedJob(NAME, planned, inputs(config))} if planned else {}


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """Two rows: the Pareto front, and the spread over seeds."""
    planned = settings(config)
    if planned is None:
        return []
    columns = {**model_columns(config), "seed": str(planned["seed"])}
    return [
        RowPlan(run_id, row_type, PATH, {**columns, "coder_type": f"overview ({row_type})"})
        for run_id, row_type in (("pareto", "pareto"), ("seed-variance", "seeds"))
    ]
