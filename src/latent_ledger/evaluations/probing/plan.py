"""Probing: do the codes carry what the text is about?"""

from __future__ import annotations

from latent_ledger.planning import paths
from latent_ledger.planning.coders import measured
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Jobs,
    RowPlan,
    Settings,
    coders_measured_by,
)

NAME = "probing"
SPLIT = "probing"
OWN = ("concepts", "top_k", "resamples", "seed")
"""Settings of the evaluation itself; the others are about the draw of examples."""


def token_sets(config: Config) -> dict[str, tuple[str, Settings]]:
    """One labelled example per row."""
    if NAME not in config["evaluations"]:
        return {}
    context = config["evaluations"][NAME]["context"]
    return {SPLIT: (paths.CONCEPTS, {"layout": "examples", "context": context})}


def captures(config: Config) -> set[Capture]:
    """What the coders read; probing never looks at a coder's target."""
    return {
        Capture(SPLIT, one.model, one.site.input_hook) for one in coders_measured_by(config, NAME)
    }


def codes(config: Config) -> set[tuple[str, str]]:
    """Codes of the labelled examples."""
    return {(SPLIT, one.name) for one in coders_measured_by(config, NAME)}


def jobs(config: Config) -> Jobs:
    """The evaluation's own block, without what only the draw of examples needs."""
    return {
        paths.evaluation(NAME, one.name): (
            NAME,
            {key: config["evaluations"][NAME][key] for key in OWN},
        )
        for one in coders_measured_by(config, NAME)
    }


def rows(config: Config) -> list[RowPlan]:
    """One row per coder, behind the nulls of the hook point it reads."""
    return measured(
        config,
        NAME,
        SPLIT,
        "probe",
        gates=lambda one: [paths.gate("nulls", f"{NAME}/{one.site.input_hook}")],
    )
