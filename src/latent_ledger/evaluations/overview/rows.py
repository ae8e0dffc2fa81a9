"""Rows of the overview: how each is read from its payload, and their section of the ledger."""

from collections.abc import Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.formatting import interval, table, titled_table
from latent_ledger.planning.stage import Finding, RowPlan, metrics_of


def read_pareto(row: RowPlan, payload: Payload) -> Finding:
    """The contenders on the front, with the share of resamples that agree."""
    facts = payload.facts
    front = [point for point in facts["pareto"] if point["on_front"]]
    listed = "; ".join(
        f"{point['name']} (on the front in {point['front_share']:.0%} of resamples)"
        for point in front
    )
    contenders = sum(not point["control"] for point in facts["pareto"])
    text = (
        f"Pareto front of {facts['x']} and {facts['y']}: {listed} "
        f"(n={contenders} contenders, {len(facts['pareto']) - contenders} controls)"
    )
    return Finding(text, metrics=metrics_of(payload))


def read_seeds(row: RowPlan, payload: Payload) -> Finding:
    """Per metric, the largest ratio of the spread over seeds to the sampling error."""
    entries = payload.facts["seeds"]
    if not entries:
        return Finding("one seed per coder: the spread over seeds was not measured")
    parts = []
    for metric in dict.fromkeys(entry["metric"] for entry in entries):
        worst = max(
            (entry for entry in entries if entry["metric"] == metric),
            key=lambda entry: entry["seed_sd"] / max(entry["sampling_se"], 1e-12),
        )
        parts.append(
            f"{metric}: at most {worst['seed_sd']:.4f} over seeds against "
            f"{worst['sampling_se']:.4f} of sampling "
            f"({worst['coder']}, k={worst['k']}, n={worst['seeds']} seeds)"
        )
    return Finding("; ".join(parts))


def section(current: Sequence[Any]) -> str:
    """The Pareto figure and table, the sweep, and the table of seeds."""
    facts = next((row.facts for row in current if row.row_type == "pareto" and row.facts), None)
    if facts is None:
        return ""
    lines = [
        (
            f"`{point['name']}`" + (" (control)" if point["control"] else ""),
            _with_interval(point, "x"),
            _with_interval(point, "y"),
            "" if point["control"] else "yes" if point["on_front"] else "no",
            "" if point["control"] else f"{point['front_share']:.0%}",
        )
        for point in facts["pareto"]
    ]
    header = ("coder", facts["x"], facts["y"], "on the front", "share of resamples")
    spreads = [
        (
            *(entry["metric"], f"`{entry['coder']}`", str(entry["k"]), str(entry["seeds"])),
            *(f"{entry['mean']:.3f}", f"{entry['seed_sd']:.4f}", f"{entry['sampling_se']:.4f}"),
        )
        for entry in facts["seeds"]
    ]
    seeds = titled_table(
        "### How much do seeds matter?\n\n"
        "A difference smaller than the spread over seeds is a difference between runs, not "
        "between coders.",
        ("metric", "coder", "k", "seeds", "mean", "sd over seeds", "sampling error"),
        spreads,
        range(2, 7),
    )
    parts = [
        "## Who is on the Pareto front?",
        "![Fidelity against interpretability](figures/pareto.svg)",
        "Fidelity against interpretability, 95% intervals. A coder is on the front when no other "
        "contender is at least as good on both and better on one; the share says in how many "
        "bootstrap resamples that holds. Controls are never on it.",
        table(header, lines, range(1, 5)),
        "### What does k change?",
        "![Metrics against k](figures/sweep.svg)",
        seeds,
    ]
    return "\n\n".join(part for part in parts if part)


def _with_interval(point: dict[str, Any], axis: str) -> str:
    ci = (point[f"{axis}_low"], point[f"{axis}_high"])
    return interval({"estimate": point[axis], "ci": None if None in ci else ci})
