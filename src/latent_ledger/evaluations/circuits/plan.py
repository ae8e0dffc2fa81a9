"""Circuits: how few latents carry what a probe reads off all of them?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from latent_ledger.config.coder_specs import CoderSpec
from latent_ledger.planning import paths
from latent_ledger.planning.coders import way_to_codes
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Jobs,
    Metric,
    RowPlan,
    Settings,
    coder,
    coder_columns,
    coders_measured_by,
    dataset,
    model_columns,
    size_columns,
)

NAME = "circuits"
MULTILAYER = "multilayer_circuits"
SPLIT = "probing"
"""Concepts, examples and codes are those of probing."""


def crossing(config: Config) -> dict[str, list[CoderSpec]]:
    """Circuits that cross layers, by name: their coders from the first layer to the last."""
    block = config["evaluations"].get(NAME)
    declared = block["multilayer"] if block else {}
    return {
        name: [coder(config, one) for one in circuit["coders"]]
        for name, circuit in declared.items()
    }


def measured(config: Config) -> list[CoderSpec]:
    """Every coder whose codes some circuit reads."""
    found = [
        *coders_measured_by(config, NAME),
        *(one for many in crossing(config).values() for one in many),
    ]
    return list({one.name: one for one in found}.values())


def captures(config: Config) -> set[Capture]:
    """What the coders read, over the labelled examples."""
    return {Capture(SPLIT, one.model, one.site.input_hook) for one in measured(config)}


def codes(config: Config) -> set[tuple[str, str]]:
    """Codes of the labelled examples."""
    return {(SPLIT, one.name) for one in measured(config)}


def settings(config: Config, sizes: Mapping[str, Any]) -> Settings:
    """What one job needs; `sizes`: the block, or the circuit, that says how large."""
    block = config["evaluations"][NAME]
    return {
        "concepts": config["evaluations"][SPLIT]["concepts"],
        **{key: sizes[key] for key in ("top_k", "headline_k")},
        **{key: block[key] for key in ("draws", "resamples", "seed")},
    }


def jobs(config: Config) -> Jobs:
    """One job per coder, and one per circuit that crosses layers."""
    block = config["evaluations"].get(NAME)
    single = {
        paths.evaluation(NAME, one.name): (NAME, settings(config, block))
        for one in coders_measured_by(config, NAME)
    }
    several = {
        paths.evaluation(MULTILAYER, name): (
            MULTILAYER,
            settings(config, block["multilayer"][name]),
        )
        for name in crossing(config)
    }
    return {**single, **several}


def inputs(config: Config, name: str) -> dict[str, str]:
    """Manifests of a circuit that crosses layers: raw1, codes1, ... in the order of its layers."""
    found = {"tokens": paths.tokens(SPLIT)}
    for depth, one in enumerate(crossing(config)[name], 1):
        found[f"raw{depth}"] = paths.activations(SPLIT, one.site.input_hook, one.model)
        found[f"codes{depth}"] = paths.codes(SPLIT, one.name)
    return found


def rows(config: Config) -> list[RowPlan]:
    """One row per coder, and one per circuit that crosses layers."""
    found = []
    for one in coders_measured_by(config, NAME):
        path = paths.evaluation(NAME, one.name)
        columns = {**coder_columns(config, one, "circuit"), "dataset": dataset(config, SPLIT)}
        needs = [*way_to_codes(one, SPLIT), path]
        found.append(RowPlan(f"circuit-{one.name}", NAME, path, columns, needs=needs))
    for name, coders in crossing(config).items():
        path = paths.evaluation(MULTILAYER, name)
        architectures = _each(one.architecture for one in coders)
        columns = {
            **model_columns(config, coders[0].model),
            "hookpoint": " + ".join(str(one.site) for one in coders),
            "coder_type": f"eval (multi-layer circuit, {architectures})",
            "width": " + ".join(size_columns(one)["width"] for one in coders),
            "sparsity": _each(size_columns(one)["sparsity"] for one in coders),
            "seed": _each(size_columns(one)["seed"] for one in coders),
            "dataset": dataset(config, SPLIT),
        }
        way = [path for one in coders for path in way_to_codes(one, SPLIT)]
        needs = [*dict.fromkeys(way), path]
        found.append(RowPlan(f"circuit-multilayer-{name}", MULTILAYER, path, columns, needs=needs))
    return found


def _each(values) -> str:
    """The values of several coders; one value where they agree."""
    return " + ".join(dict.fromkeys(map(str, values)))


def sizes(by: Mapping[str, Metric]) -> list[int]:
    """Latents per layer of the circuits that were measured, smallest first."""
    found = (re.fullmatch(r"gap_top(\d+)", name) for name in by)
    return sorted(int(one[1]) for one in found if one)
