"""Planning of causal edges: one job and one row per group of coders."""

from latent_ledger.config.coder_specs import CoderSpec, coders_measured_by
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Config,
    Jobs,
    PlannedJob,
    RowPlan,
    Settings,
    architecture_and_weights,
    coder_columns,
    each,
    size_columns,
    without,
)

NAME = "edges"


def groups(config: Config) -> dict[str, list[CoderSpec]]:
    """The groups to trace: those whose coders are all selected by the block's `select`."""
    block = config["evaluations"].get(NAME)
    if block is None:
        return {}
    measured = {spec.name: spec for spec in coders_measured_by(config, NAME)}
    return {
        group: [measured[name] for name in names]
        for group, names in block["groups"].items()
        if all(name in measured for name in names)
    }


def settings(config: Config, group: str) -> Settings:
    """Settings of one group's job."""
    return {**without(config["evaluations"][NAME], "select", "groups"), "group": group}


def jobs(config: Config) -> Jobs:
    """One job per group of coders."""
    return {
        paths.evaluation(NAME, group): PlannedJob(
            NAME,
            settings(config, group),
            {
                "model": paths.model(members[0].model),
                "coders": [paths.coder(spec.name) for spec in members],
            },
            model=members[0].model,
            coders=tuple(members),
        )
        for group, members in groups(config).items()
    }


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """One row per group."""
    planned = []
    for group, members in groups(config).items():
        columns = {
            **coder_columns(config, members[0], NAME),
            "hookpoint": ", ".join(str(spec.site) for spec in members),
            "coder_type": f"graph ({each(map(architecture_and_weights, members), ', ')})",
            **{
                name: each((size_columns(spec)[name] for spec in members), ", ")
                for name in ("width", "sparsity", "seed")
            },
            "dataset": f"templates ({config['evaluations'][NAME]['pairs']} minimal pairs)",
        }
        planned.append(RowPlan(f"edges-{group}", NAME, paths.evaluation(NAME, group), columns))
    return planned
