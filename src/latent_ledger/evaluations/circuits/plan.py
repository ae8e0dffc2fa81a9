"""Planning of circuits: one job and one row per coder and per multi-layer circuit."""

import re
from collections.abc import Mapping
from typing import Any

from latent_ledger.config.coder_specs import CoderSpec, coder_specs, coders_measured_by
from latent_ledger.planning import paths
from latent_ledger.planning.coders import measured
from latent_ledger.planning.stage import (
    Config,
    Jobs,
    Metric,
    PlannedJob,
    RowPlan,
    Settings,
    architecture_and_weights,
    dataset,
    each,
    model_columns,
    size_columns,
)

NAME = "circuits"
MULTILAYER = "multilayer_circuits"
TOKEN_SET = "probing"
"""Concepts, examples and codes are those of probing."""


def multilayer_coders(config: Config) -> dict[str, list[CoderSpec]]:
    """Coders of each circuit that crosses layers, by its name, from first to last layer."""
    block = config["evaluations"].get(NAME)
    declared = block["multilayer"] if block else {}
    coders = {spec.name: spec for spec in coder_specs(config)} if declared else {}
    return {
        name: [coders[coder] for coder in circuit["coders"]] for name, circuit in declared.items()
    }


def settings(config: Config, sizes: Mapping[str, Any]) -> Settings:
    """Settings of one job; `sizes` is the block or the circuit that holds top_k and headline_k."""
    block = config["evaluations"][NAME]
    return {
        "concepts": config["evaluations"][TOKEN_SET]["concepts"],
        **{key: sizes[key] for key in ("top_k", "headline_k")},
        **{key: block[key] for key in ("draws", "resamples", "seed")},
    }


def jobs(config: Config) -> Jobs:
    """One job per coder, and one per circuit that crosses layers."""
    planned: Jobs = {}
    block = config["evaluations"].get(NAME)
    for spec in coders_measured_by(config, NAME):
        planned[paths.evaluation(NAME, spec.name)] = PlannedJob(
            NAME,
            settings(config, block),
            {
                "tokens": paths.Tokens(TOKEN_SET),
                "raw": paths.Activations(TOKEN_SET, spec.site.input_hook, spec.model),
                "codes": paths.Codes(TOKEN_SET, spec.name),
            },
            TOKEN_SET,
            spec.model,
            (spec,),
        )
    for name, coders in multilayer_coders(config).items():
        inputs: dict[str, str] = {"tokens": paths.Tokens(TOKEN_SET)}
        for depth, spec in enumerate(coders, 1):  # from the first layer to the last
            raw = paths.Activations(TOKEN_SET, spec.site.input_hook, spec.model)
            inputs |= {f"raw{depth}": raw, f"codes{depth}": paths.Codes(TOKEN_SET, spec.name)}
        planned[paths.evaluation(MULTILAYER, name)] = PlannedJob(
            MULTILAYER,
            settings(config, block["multilayer"][name]),
            inputs,
            TOKEN_SET,
            coders[0].model,
            tuple(coders),
        )
    return planned


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """One row per coder, and one per circuit that crosses layers."""
    planned = measured(config, NAME, TOKEN_SET, "circuit", "circuit")
    for name, coders in multilayer_coders(config).items():
        path = paths.evaluation(MULTILAYER, name)
        kinds = each(map(architecture_and_weights, coders), " + ")
        columns = {
            **model_columns(config, coders[0].model),
            "hookpoint": " + ".join(str(spec.site) for spec in coders),
            "coder_type": f"eval (multi-layer circuit, {kinds})",
            "width": " + ".join(size_columns(spec)["width"] for spec in coders),
            "sparsity": each((size_columns(spec)["sparsity"] for spec in coders), " + "),
            "seed": each((size_columns(spec)["seed"] for spec in coders), " + "),
            "dataset": dataset(config, TOKEN_SET),
        }
        planned.append(RowPlan(f"circuit-multilayer-{name}", MULTILAYER, path, columns))
    return planned


def sizes(by: Mapping[str, Metric]) -> list[int]:
    """Latents per layer of the measured circuits, smallest first."""
    matches = (re.fullmatch(r"gap_top(\d+)", name) for name in by)
    return sorted(int(match[1]) for match in matches if match)
