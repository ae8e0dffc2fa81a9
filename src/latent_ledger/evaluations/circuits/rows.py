"""Rows of circuits, read from their payloads, and their section of the ledger."""

from collections.abc import Mapping, Sequence
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
        for concept, metric in _gaps(by, headline).items()
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
    at = _at(by, size)
    of_ceiling = share(at["ceiling_share"]) if "ceiling_share" in at else "undefined share"
    return (
        f"top{size}={at['accuracy']['estimate']:.3f} ({of_ceiling} of ceiling) "
        f"vs random {at['random']['estimate']:.3f}, gap {interval(at['gap'], signed=True)}, "
        f"leak {at['inflation']['estimate']:+.3f}"
    )


def _at(by: Mapping[str, Metric], size: int) -> dict[str, Metric]:
    """The metrics of one size over all concepts, by name without the size."""
    end = f"_top{size}"
    return {name.removesuffix(end): by[name] for name in by if name.endswith(end)}


def _gaps(by: Mapping[str, Metric], size: int) -> dict[str, Metric]:
    """The gap of every concept at one size."""
    start = f"gap_top{size}/"
    return {name.removeprefix(start): by[name] for name in by if name.startswith(start)}


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
    shown = [row for row in current if row.row_type in (NAME, MULTILAYER) and row.metrics]
    if not shown:
        return ""
    single = _sizes_table(shown, NAME, "coder")
    multilayer = _sizes_table(shown, MULTILAYER, "circuit")
    lines = [
        f"Build-up of `{_label(row)}`: {build_up(named(row.metrics), row.values['hookpoint'])}."
        for row in shown
        if row.row_type == MULTILAYER
    ]
    explanation = (
        "## How few latents carry a concept?\n\n"
        "Test accuracy of a fresh probe on the K latents chosen on training examples, pooled over "
        "concepts, beside random circuits of equal size (mean over the draws) and beside as many "
        "token counts. Gaps are paired over test examples; p is the permutation p of the circuit "
        "among the random ones, Holm-corrected over the sizes, and *concepts* counts those below "
        f"{shown[0].alpha:g} after Holm's correction over the concepts. The share is the accuracy "
        "above chance relative to that on all latents. The leak is what choosing on test examples "
        "as well would have added."
    )
    across = (
        "### Across layers\n\nK latents of every layer; what the circuit of the first layers reads "
        "off shows how the concept builds up over depth."
    )
    several = [across, multilayer, *lines] if multilayer else []
    return "\n\n".join(text for text in [explanation, single, *several] if text)


def _sizes_table(shown: Sequence[Any], row_type: str, title: str) -> str:
    lines = [
        (f"`{_label(row)}`", _cells(named(row.metrics), size, row.alpha))
        for row in shown
        if row.row_type == row_type
        for size in sizes(named(row.metrics))
    ]
    if not lines:
        return ""
    header = (title, *lines[0][1])
    cells = [(label, *cells.values()) for label, cells in lines]
    return table(header, cells, range(1, len(header)))


def _cells(by: Mapping[str, Metric], size: int, alpha: float) -> dict[str, str]:
    at, gaps = _at(by, size), _gaps(by, size).values()
    return {
        "K": str(size),
        "circuit": f"{at['accuracy']['estimate']:.3f}",
        "random": f"{at['random']['estimate']:.3f}",
        "circuit - random": interval(at["gap"], signed=True),
        "p (Holm)": f"{at['gap']['p_holm']:.2g}",
        "concepts": f"{sum(gap['p_holm'] < alpha for gap in gaps)}/{len(gaps)}",
        "share": share(at["faithfulness"]) if "faithfulness" in at else "undefined",
        "all latents": f"{by['ceiling']['estimate']:.3f}",
        "tokens": f"{at['tokens']['estimate']:.3f}",
        "leak": interval(at["inflation"], signed=True),
        "n": count(at["gap"])[2:],
    }


def _label(row: Any) -> str:
    return row.run_id.removeprefix("circuit-").removeprefix("multilayer-")
