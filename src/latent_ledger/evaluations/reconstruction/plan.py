"""Reconstruction: how faithfully does each coder rebuild its target?"""

from __future__ import annotations

from latent_ledger.config.coder_specs import CoderSpec
from latent_ledger.planning import paths
from latent_ledger.planning.coders import measured, way_to_codes
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Jobs,
    RowPlan,
    Settings,
    coder,
    coder_columns,
    coders_measured_by,
    dataset,
    without,
)
from latent_ledger.planning.text import slice_settings

NAME = "reconstruction"
SPLIT = "evaluation"


def on_slices(config: Config) -> list[tuple[str, CoderSpec]]:
    """(slice, coder) of the coders that are measured on a slice of the corpus as well."""
    block = config["evaluations"].get(NAME)
    return [
        (name, coder(config, one))
        for name, coders in (block["slices"] if block else {}).items()
        for one in coders
    ]


def measured_on(config: Config) -> list[tuple[str, CoderSpec]]:
    """(token set, coder) of everything that is measured."""
    return [(SPLIT, one) for one in coders_measured_by(config, NAME)] + on_slices(config)


def on_slice(name: str, of: str) -> str:
    """The reconstruction of a coder on a slice of the corpus."""
    return f"results/reconstruction_slices/{name}/{of}.json"


def token_sets(config: Config) -> dict[str, tuple[str, Settings]]:
    """One document of a slice per row, its beginning."""
    slices = config["corpus"]["slices"]
    return {
        name: (
            paths.corpus_slice(name),
            {"layout": "examples", "keep": "beginning", "context": slices[name]["context"]},
        )
        for name in dict.fromkeys(name for name, _ in on_slices(config))
    }


def captures(config: Config) -> set[Capture]:
    """Both hook points of every measured coder's site."""
    return {
        Capture(split, one.model, hook_point)
        for split, one in measured_on(config)
        for hook_point in one.site.hook_points
    }


def codes(config: Config) -> set[tuple[str, str]]:
    """Codes of the evaluation part, and of the slices."""
    return {(split, one.name) for split, one in measured_on(config)}


def jobs(config: Config) -> Jobs:
    """The evaluation's own block and the coder's architecture, which decides what is spliced."""
    found: Jobs = {
        paths.corpus_slice(name): ("corpus_slice", slice_settings(config, name))
        for name in token_sets(config)
    }
    for split, one in measured_on(config):
        own = without(config["evaluations"][NAME], "select", "slices")
        found[path_of(split, one)] = (NAME, {**own, "architecture": one.architecture})
    return found


def path_of(split: str, one: CoderSpec) -> str:
    """The manifest of a coder's reconstruction over a token set."""
    return paths.evaluation(NAME, one.name) if split == SPLIT else on_slice(split, one.name)


def nulls(one: CoderSpec) -> str:
    """The gate of the metrics at the hook point that a coder should rebuild."""
    return paths.gate("nulls", f"{NAME}/{paths.over(str(one.site.output_hook), one.base)}")


def rows(config: Config) -> list[RowPlan]:
    """One row per coder, behind the nulls of the hook point it should rebuild; then those on
    slices.
    """
    found = measured(config, NAME, SPLIT, "recon", gates=lambda one: [nulls(one)])
    for name, one in on_slices(config):
        path = on_slice(name, one.name)
        columns = {**coder_columns(config, one, NAME), "dataset": dataset(config, name)}
        needs = [*way_to_codes(one, name), nulls(one), path]
        run_id = f"recon-{one.name}-on-{name}"
        found.append(RowPlan(run_id, NAME, path, columns, needs=needs))
    return found
