"""Rows of causal edges, read from their payloads, and their section of the ledger."""

from collections.abc import Mapping, Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.edges.plan import NAME
from latent_ledger.evaluations.formatting import count, digits_for, interval, share, table
from latent_ledger.planning.stage import Finding, Metric, RowPlan, metrics_of, named

COLUMNS = {
    "edge_spearman": "weight vs ablation (Spearman)",
    "faithfulness_area": "faithfulness area",
    "faithfulness_gap": "- random",
    "completeness_area": "completeness area",
    "completeness_gap": "- random",
    "cmd": "CMD",
}
"""Metric -> its title in the section's table."""


def read(row: RowPlan, payload: Payload) -> Finding:
    """The cost of ablating top edges against random ones as the main metric, if the task is solved.

    A model that answers no better than chance has no behaviour to explain. Its accuracy is then
    the main metric, against its null of one half.
    """
    metrics, facts = metrics_of(payload), payload.facts
    by = named(metrics)
    accuracy, gap = by["task_accuracy"], by["edge_gap"]
    task = f"task accuracy {interval(accuracy)} ({count(accuracy)})"
    text = f"{summary(by)}; {task}; {area_summary(by)}" if gap["n"] else f"no edges found; {task}"
    notes = (
        f"Error nodes hold {error_summary(facts)} of the absolute effect; {facts['kept_nodes']} of "
        f"{facts['nodes']:,} nodes in the graph, {sum(facts['dropped'].values())} template pairs "
        "left out."
    )
    if not (accuracy["ci"] and accuracy["ci"][0] > 0.5):
        notes = f"The model does not solve the task, so the graph explains nothing. {notes}"
        return Finding(f"at chance: {text}", accuracy, 0.5, notes, metrics=metrics)
    return Finding(text, main=gap, null=0.0, notes=notes, metrics=metrics)


def summary(by: Mapping[str, Metric]) -> str:
    """The gap, and how well weights predict ablations."""
    gap = by["edge_gap"]
    text = (
        f"ablating a top edge costs {interval(gap, signed=True, digits=digits_for(gap))} logits "
        f"more than a random one ({count(gap)})"
    )
    if "edge_spearman" in by:
        spearman = by["edge_spearman"]
        text += f"; weight against ablation, Spearman {interval(spearman)} ({count(spearman)})"
    return text


def area_summary(by: Mapping[str, Metric]) -> str:
    """CPR, completeness and CMD, each beside its random baseline."""
    if "cmd" not in by:
        return "nothing at stake, so no faithfulness"
    return ", ".join(
        f"{COLUMNS[name]} {interval(by[name])} (random {by[f'{name}_random']['estimate']:.3f})"
        for name in ("faithfulness_area", "completeness_area", "cmd")
    )


def error_summary(facts: Mapping[str, Any]) -> str:
    """The share of each coder's effect in its error node, in the group's order."""
    shares = [facts["error_share"][name] for name in facts["coders"]]
    known = [value for value in shares if value is not None]
    return ", ".join(share({"estimate": value}) for value in known) or "nothing"


def section(current: Sequence[Any]) -> str:
    """The ledger's table of all groups, and the strongest edges of each."""
    lines, strongest = [], []
    for row in current:
        if row.row_type != NAME or not row.metrics:
            continue
        by, group = named(row.metrics), f"`{row.run_id.partition('-')[2]}`"
        cells = [interval(by[name]) if name in by else "" for name in COLUMNS]
        accuracy, gap = interval(by["task_accuracy"]), interval(by["edge_gap"], signed=True)
        lines.append((group, accuracy, gap, *cells, row.label))
        edges = [
            f"* {metric['description']}: {interval(metric, signed=True)}"
            for name, metric in by.items()
            if name.startswith("edge/")
        ]
        if edges:
            title = f"Strongest edges of {group}, weight in logits:\n\n"
            strongest.append(title + "\n".join(edges))
    if not lines:
        return ""
    header = ("group", "task accuracy", "top - random edges", *COLUMNS.values(), "verdict")
    explanation = (
        "## Which latent drives which?\n\n"
        "Top edges of the attribution graph against random edges of the same graph: how many "
        "logits more it costs to ablate one, on prompts the graph was not found on. The gap says "
        "whether the drawn edges are real; it grows with whatever a coder's nodes carry and does "
        "not rank coders, which the rank correlation and the areas do (over the share of nodes "
        "kept; CMD is better when smaller)."
    )
    shown = table(header, lines, range(1, len(header) - 1))
    return "\n\n".join([explanation, shown, *strongest])
