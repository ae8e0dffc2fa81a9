"""Circuits: how few latents carry what a probe reads off all of them?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.config.coder_specs import CoderSpec
from latent_ledger.evaluations.formatting import count, interval, share, table
from latent_ledger.planning import paths
from latent_ledger.planning.coders import way_to_codes
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Finding,
    Jobs,
    Metric,
    RowPlan,
    Settings,
    Stage,
    coder,
    coder_columns,
    coders_measured_by,
    dataset,
    metrics_of,
    model_columns,
    named,
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


def read(row: RowPlan, payload: Payload) -> Finding:
    """The headline circuit's gap; every size and every concept beside it."""
    metrics = metrics_of(payload)
    by, headline = named(metrics), payload.facts["headline"]
    main = by[f"gap_top{headline}"]
    parts = [_size(by, size) for size in sizes(by)]
    parts.append(f"ceiling {interval(by['ceiling'])}, raw site {interval(by['accuracy_raw'])}")
    if row.row_type == MULTILAYER:
        parts.append(f"build-up ({headline} per layer) {build_up(by, row.columns['hookpoint'])}")
    per_concept = ", ".join(
        f"{concept} {metric['estimate']:+.3f} (Holm {metric['p_holm']:.2g})"
        for concept, metric in _concepts(by, headline)
    )
    parts.append(f"gap at {headline} by concept: {per_concept}")
    matched = by[f"gap_matched_top{headline}"]
    notes = (
        f"Gap over random circuits that fire as often: {interval(matched, signed=True)}. "
        f"{payload.facts['draws']} random circuits per concept and size; Holm over the sizes for "
        f"all concepts together (p={main['p_holm']:.2g} at {headline}), and over the concepts."
    )
    return Finding("; ".join(parts) + f" ({count(main)})", main, 0.0, notes, metrics=metrics)


def sizes(by: Mapping[str, Metric]) -> list[int]:
    """Latents per layer of the circuits that were measured, smallest first."""
    found = (re.fullmatch(r"gap_top(\d+)", name) for name in by)
    return sorted(int(one[1]) for one in found if one)


def _size(by: Mapping[str, Metric], size: int) -> str:
    end = f"_top{size}"
    share_of = (
        share(by[f"ceiling_share{end}"]) if f"ceiling_share{end}" in by else "undefined share"
    )
    return (
        f"top{size}={by[f'accuracy{end}']['estimate']:.3f} ({share_of} of ceiling) "
        f"vs random {by[f'random{end}']['estimate']:.3f}, "
        f"gap {interval(by[f'gap{end}'], signed=True)}, "
        f"leak {by[f'inflation{end}']['estimate']:+.3f}"
    )


def _concepts(by: Mapping[str, Metric], size: int) -> Iterator[tuple[str, Metric]]:
    """The gap of every concept at one size."""
    start = f"gap_top{size}/"
    for name, metric in by.items():
        if name.startswith(start):
            yield name.removeprefix(start), metric


def build_up(by: Mapping[str, Metric], hookpoints: str) -> str:
    """Accuracy of the circuit's first layers, and what each further layer adds."""
    steps = []
    for depth, site in enumerate(hookpoints.split(" + "), 1):
        step = f"{site} {interval(by[f'build_up_{depth}'])}"
        if depth > 1:
            step = f"+ {step} (gain {interval(by[f'gain_{depth}'], signed=True)})"
        steps.append(step)
    return " -> ".join(steps)


def section(current: Sequence[Any]) -> str:
    """The ledger's tables: every coder at every size, then circuits that cross layers."""
    parts = [_sizes_table(current, NAME, "coder"), _sizes_table(current, MULTILAYER, "circuit")]
    lines = [
        f"Build-up of `{_label(row)}`: {build_up(named(row.metrics), row.values['hookpoint'])}."
        for row in current
        if row.row_type == MULTILAYER and row.metrics
    ]
    if not any(parts):
        return ""
    explanation = (
        "## How few latents carry a concept?\n\n"
        "Test accuracy of a fresh probe on the K latents chosen on training examples, pooled over "
        "concepts, beside random circuits of equal size (mean over the draws) and beside as many "
        "token counts. Gaps are paired over test examples; p is the permutation p of the circuit "
        "among the random ones, Holm-corrected over the sizes, and *concepts* counts those below "
        "0.05 after Holm's correction over the concepts. The share is the accuracy above chance "
        "relative to that on all latents. The leak is what choosing on test examples as well would "
        "have added."
    )
    across = (
        "### Across layers\n\nK latents of every layer; what the circuit of the first layers reads "
        "off shows how the concept builds up over depth."
    )
    several = [across, parts[1], *lines] if parts[1] else []
    return "\n\n".join(part for part in [explanation, parts[0], *several] if part)


def _sizes_table(current: Sequence[Any], kind: str, title: str) -> str:
    lines = []
    for row in current:
        if row.row_type != kind or not row.metrics:
            continue
        by = named(row.metrics)
        for size in sizes(by):
            end = f"_top{size}"
            concepts = [metric for _, metric in _concepts(by, size)]
            faithful = by.get(f"faithfulness{end}")
            lines.append(
                (
                    f"`{_label(row)}`",
                    str(size),
                    f"{by[f'accuracy{end}']['estimate']:.3f}",
                    f"{by[f'random{end}']['estimate']:.3f}",
                    interval(by[f"gap{end}"], signed=True),
                    f"{by[f'gap{end}']['p_holm']:.2g}",
                    f"{sum(one['p_holm'] < 0.05 for one in concepts)}/{len(concepts)}",
                    share(faithful) if faithful else "undefined",
                    f"{by['ceiling']['estimate']:.3f}",
                    f"{by[f'tokens{end}']['estimate']:.3f}",
                    interval(by[f"inflation{end}"], signed=True),
                    count(by[f"gap{end}"])[2:],
                )
            )
    header = (
        *(title, "K", "circuit", "random", "circuit - random", "p (Holm)", "concepts"),
        *("share", "all latents", "tokens", "leak", "n"),
    )
    return table(header, lines, range(1, len(header))) if lines else ""


def _label(row: Any) -> str:
    return row.run_id.removeprefix("circuit-").removeprefix("multilayer-")


STAGE = Stage(
    NAME,
    jobs=jobs,
    rows=rows,
    readers={NAME: read, MULTILAYER: read},
    section=section,
    captures=captures,
    codes=codes,
)
