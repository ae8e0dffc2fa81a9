"""Rows of circuits, read from their payloads, and their section of the ledger."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.circuits.plan import MULTILAYER, NAME, sizes
from latent_ledger.evaluations.formatting import count, interval, share, table
from latent_ledger.planning.stage import Finding, Metric, RowPlan, metrics_of, named


def read(row: RowPlan, payload: Payload) -> Finding:
    """The gap of the headline circuit as the main metric; every size and concept in the text."""
    metrics = metrics_of(payload)
    by, headline = named(metrics), payload.facts["headline"]
    main = by[f"gap_top{headline}"]
    clauses = [_size(by, size) for size in sizes(by)]
    clauses.append(f"ceiling {interval(by['ceiling'])}, raw site {interval(by['accuracy_raw'])}")
    if row.row_type == MULTILAYER:
        clauses.append(f"build-up ({headline} per layer) {build_up(by, row.columns['hookpoint'])}")
    per_concept = ", ".join(
        f"{concept} {metric['estimate']:+.3f} (Holm {metric['p_holm']:.2g})"
        for concept, metric in _concepts(by, headline)
    )
    clauses.append(f"gap at {headline} by concept: {per_concept}")
    matched = by[f"gap_matched_top{headline}"]
    notes = (
        f"Gap over random circuits that fire as often: {interval(matched, signed=True)}. "
        f"{payload.facts['draws']} random circuits per concept and size; Holm over the sizes for "
        f"all concepts together (p={main['p_holm']:.2g} at {headline}), and over the concepts."
    )
    return Finding("; ".join(clauses) + f" ({count(main)})", main, 0.0, notes, metrics=metrics)


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
    single = _sizes_table(current, NAME, "coder")
    multilayer = _sizes_table(current, MULTILAYER, "circuit")
    lines = [
        f"Build-up of `{_label(row)}`: {build_up(named(row.metrics), row.values['hookpoint'])}."
        for row in current
        if row.row_type == MULTILAYER and row.metrics
    ]
    if not single and not multilayer:
        return ""
    alpha = next(row.alpha for row in current if row.row_type in (NAME, MULTILAYER) and row.metrics)
    explanation = (
        "## How few latents carry a concept?\n\n"
        "Test accuracy of a fresh probe on the K latents chosen on training examples, pooled over "
        "concepts, beside random circuits of equal size (mean over the draws) and beside as many "
        "token counts. Gaps are paired over test examples; p is the permutation p of the circuit "
        "among the random ones, Holm-corrected over the sizes, and *concepts* counts those below "
        f"{alpha:g} after Holm's correction over the concepts. The share is the accuracy above "
        "chance relative to that on all latents. The leak is what choosing on test examples as "
        "well would have added."
    )
    across = (
        "### Across layers\n\nK latents of every layer; what the circuit of the first layers reads "
        "off shows how the concept builds up over depth."
    )
    several = [across, multilayer, *lines] if multilayer else []
    return "\n\n".join(text for text in [explanation, single, *several] if text)


def _sizes_table(current: Sequence[Any], row_type: str, title: str) -> str:
    lines = []
    for row in current:
        if row.row_type != row_type or not row.metrics:
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
                    f"{sum(metric['p_holm'] < row.alpha for metric in concepts)}/{len(concepts)}",
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
