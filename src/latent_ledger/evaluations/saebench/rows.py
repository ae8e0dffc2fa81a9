"""Rows of SAEBench, read from their payloads, and their section of the ledger."""

from collections.abc import Mapping, Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.formatting import (
    count,
    hook_point_note,
    interval,
    per_coder,
    table,
)
from latent_ledger.evaluations.saebench.plan import CORE, NAME
from latent_ledger.planning.stage import Finding, Metric, RowPlan, metrics_of, named


def read_probing(row: RowPlan, payload: Payload) -> Finding:
    """Accuracy of the probe on the best latent at the first size; then the other numbers."""
    metrics = metrics_of(payload)
    by = named(metrics)
    first, *others = payload.facts["sizes"]
    ks = [name.removeprefix("top_") for name in by if name.startswith("top_") and "/" not in name]
    parts = [
        f"k={k} {interval(by[f'top_{k}'])}, hook point itself "
        f"{by[f'llm_top_{k}']['estimate']:.3f}, gap {interval(by[f'gap_{k}'], signed=True)}"
        for k in ks
    ]
    text = f"accuracy at {first} examples ({count(by[f'top_{ks[0]}'])}): " + "; ".join(parts)
    for size in others:
        listed = ", ".join(
            f"k={k} {by[f'top_{k}/{size}']['estimate']:.3f} "
            f"(hook point {by[f'llm_top_{k}/{size}']['estimate']:.3f})"
            for k in ks
        )
        text += f"; at {size}: {listed}"
    datasets = payload.facts["datasets"]
    if len(datasets) > 1:
        each = ", ".join(f"{name} {by[f'top_{ks[0]}/{name}']['estimate']:.3f}" for name in datasets)
        text += f"; k={ks[0]} by data set: {each}"
    units = "data sets" if len(datasets) > 1 else "classes"
    notes = f"SAEBench gives no values per example; the interval is over {units}."
    notes += hook_point_note(payload.facts["hook_point"])
    return Finding(text, main=by[f"top_{ks[0]}"], null=0.5, notes=notes, metrics=metrics)


def read_core(row: RowPlan, payload: Payload) -> Finding:
    """The largest difference from SAEBench's correct metrics; where it is wrong, both numbers."""
    metrics = metrics_of(payload)
    by = named(metrics)
    main = by["largest_difference"]
    ours = {name.partition("/")[0]: by[name]["estimate"] for name in by if name.endswith("/ours")}
    theirs = {name: by[f"{name}/theirs"]["estimate"] for name in ours}
    wrong = [name for name in payload.facts["wrong"] if name in ours]
    listed = ", ".join(f"{name} {ours[name]:.4g}" for name in ours if name not in wrong)
    text = (
        f"largest relative difference {main['estimate']:.1e} over {main['n']} metrics "
        f"(n={payload.facts['tokens']:,} tokens): {listed}"
    )
    if wrong:
        text += "; SAEBench is wrong in " + ", ".join(
            f"{name} (it says {theirs[name]:.4g}, true {ours[name]:.4g})" for name in wrong
        )
    notes = "" if wrong else "SAEBench decodes a transcoder against its input: latents only."
    reference = {"value": 0.0, "tolerance": 1e-4}  # smaller relative differences are the same
    return Finding(text, main=main, notes=notes, metrics=metrics, reference=reference)


def section(current: Sequence[Any]) -> str:
    """The ledger's tables: sparse probing, then the cross-check."""
    probed = per_coder(
        current,
        NAME,
        "## SAEBench\n\n"
        "Test accuracy of SAEBench's own sparse probes, mean over classes (or data sets) at the "
        "first of its sizes; chance is 0.5. The gap is to the same probe on the best dimensions of "
        "the hook point that the coder reads, so coders at different sites compare by their gaps "
        "only.",
        {
            "top 1": lambda m: interval(m["top_1"]) if "top_1" in m else "",
            "top 5": lambda m: interval(m["top_5"]) if "top_5" in m else "",
            "gap, top 1": lambda m: interval(m["gap_1"], signed=True) if "gap_1" in m else "",
            "gap, top 5": lambda m: interval(m["gap_5"], signed=True) if "gap_5" in m else "",
            "n": lambda m: count(next(iter(m.values())))[2:],
        },
    )
    compared = ("l0", "cossim", "ce_loss_score", "kl_div_with_sae", "explained_variance", "mse")
    lines = []
    for row in current:
        if row.row_type == CORE and row.metrics:
            by = named(row.metrics)
            worst = f"{by['largest_difference']['estimate']:.1e}"
            cells = (_both(by, name) for name in compared)
            lines.append((f"`{row.run_id.partition('-')[2]}`", worst, *cells))
    if not lines:
        return probed
    header = (
        *("coder", "largest difference", "L0", "cosine", "CE score", "KL"),
        *("explained variance (wrong there)", "MSE (wrong there)"),
    )
    text = (
        "### Our metrics and SAEBench's core\n\n"
        "Ours / SAEBench's, on the same activations. The largest relative difference is over the "
        "metrics in which SAEBench is right; its explained variance is nearly uncentred and its "
        "MSE divides by the batch's tokens twice.\n\n"
    )
    tables = (probed, text + table(header, lines, range(1, len(header))))
    return "\n\n".join(shown for shown in tables if shown)


def _both(by: Mapping[str, Metric], name: str) -> str:
    """Ours / theirs, empty where the metric was not compared."""
    sides = [by.get(f"{name}/{side}") for side in ("ours", "theirs")]
    return " / ".join(f"{side['estimate']:.4g}" for side in sides if side)
