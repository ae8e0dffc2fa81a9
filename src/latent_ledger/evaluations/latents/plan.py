"""Latents: how often each fires, and on how many different tokens."""

from __future__ import annotations

from latent_ledger.planning import paths
from latent_ledger.planning.coders import measured
from latent_ledger.planning.stage import Capture, Config, Jobs, RowPlan, coders_measured_by, without

NAME = "latents"
SPLIT = "evaluation"


def codes(config: Config) -> set[tuple[str, str]]:
    """Codes of the evaluation part."""
    return {(SPLIT, one.name) for one in coders_measured_by(config, NAME)}


def captures(config: Config) -> set[Capture]:
    """What the coders read, so that their codes can be made."""
    return {
        Capture(SPLIT, one.model, one.site.input_hook) for one in coders_measured_by(config, NAME)
    }


def jobs(config: Config) -> Jobs:
    """The evaluation's own block."""
    return {
        paths.evaluation(NAME, one.name): (NAME, without(config["evaluations"][NAME], "select"))
        for one in coders_measured_by(config, NAME)
    }


def rows(config: Config) -> list[RowPlan]:
    """One row per coder."""
    return measured(config, NAME, SPLIT, "latents")
