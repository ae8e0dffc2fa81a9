"""The ledger as Markdown: a summary a person reads first, then every row in full.

Deterministic: equal rows give equal text; no time of rendering appears anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from latent_ledger.findings import count, interval

TITLES = {
    "run_id": "run_id",
    "hookpoint": "layer/hookpoint",
    "coder_type": "coder_type",
    "sparsity": "sparsity/L0",
    "cost": "cost_est",
}
"""Headings that differ from the column's name."""

VERDICTS = (
    "reproduced",
    "not reproduced",
    "novel",
    "inconclusive",
    "failed",
    "stale",
    "superseded",
)


def markdown(config: Mapping[str, Any], rows: Sequence[Any]) -> str:
    """The whole ledger: headline, one table per question, then the 18 columns of every row."""
    current = [row for row in rows if row.label != "superseded"]
    sections = [
        f"# The ledger of *{config['experiment']}*",
        _headline(current, len(rows) - len(current)),
        _trouble(current),
        _reconstruction(current),
        _probing(current),
        _comparisons(current),
        _full(rows),
        _how_to_read(config),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def table(header: Sequence[str], lines: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """A Markdown table; columns in `right` are aligned to the right."""
    right = set(right)
    rule = ["---:" if index in right else "---" for index in range(len(header))]
    cells = [header, rule, *([_cell(cell) for cell in line] for line in lines)]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def _cell(text: str) -> str:
    return " ".join(str(text).replace("|", "\\|").split())


def _headline(current: Sequence[Any], superseded: int) -> str:
    counts = Counter(row.label for row in current)
    said = [f"{counts[name]} {name}" for name in VERDICTS if counts[name]]
    line = f"{len(current)} rows: {', '.join(said)}."
    if superseded:
        line += f" {superseded} earlier record{'s' if superseded > 1 else ''} superseded."
    return line


def _trouble(current: Sequence[Any]) -> str:
    """Rows without a number, first, because they matter most."""
    lines = [
        (f"`{row.run_id}`", row.label, row.values["notes"])
        for row in current
        if row.label in ("failed", "stale")
    ]
    return "## What is missing\n\n" + table(("run", "verdict", "why"), lines) if lines else ""


def _named(row: Any) -> dict[str, Mapping[str, Any]]:
    return {metric["name"]: metric for metric in row.metrics}


def _share(metric: Mapping[str, Any]) -> str:
    return f"{100 * metric['estimate']:.1f}%"


def _per_coder(
    current: Sequence[Any],
    kind: str,
    title: str,
    columns: Mapping[str, Callable[[dict[str, Mapping[str, Any]]], str]],
) -> str:
    """One table of all coders under one evaluation."""
    shown = [row for row in current if row.kind == kind and row.metrics]
    lines = [
        (f"`{row.run_id.partition('-')[2]}`", *(cell(_named(row)) for cell in columns.values()))
        for row in shown
    ]
    header = ("coder", *columns)
    right = range(1, len(header))
    return f"{title}\n\n{table(header, lines, right)}" if lines else ""


def _reconstruction(current: Sequence[Any]) -> str:
    return _per_coder(
        current,
        "reconstruction",
        "## How faithfully does each coder rebuild its target?\n\n"
        "Variance explained is 1 - FVU on the coder's own target without BOS; loss recovered is "
        "measured with the coder spliced into the model. Intervals: 95%, bootstrap over documents. "
        "Coders with different targets are not comparable by variance explained alone.",
        {
            "variance explained": lambda m: interval(m["variance_explained"]),
            "loss recovered": lambda m: interval(m["loss_recovered"]),
            "KL (nats/token)": lambda m: interval(m["kl"], digits=4),
            "L0": lambda m: f"{m['l0']['estimate']:.1f}",
            "dead": lambda m: _share(m["dead_share"]),
            "dense": lambda m: _share(m["dense_share"]),
            "n": lambda m: count(m["variance_explained"])[2:],
        },
    )


def _probing(current: Sequence[Any]) -> str:
    return _per_coder(
        current,
        "probing",
        "## Do the codes carry what the text is about?\n\n"
        "Test accuracy of logistic probes, pooled over concepts; chance is 0.5. The gaps are "
        "paired over test examples; a negative gap means the baseline wins.",
        {
            "all latents": lambda m: interval(m["accuracy_all"]),
            "top 1": lambda m: interval(m["accuracy_top1"]) if "accuracy_top1" in m else "",
            "top 5": lambda m: interval(m["accuracy_top5"]) if "accuracy_top5" in m else "",
            "AUROC": lambda m: interval(m["auroc_all"]),
            "codes - raw site": lambda m: interval(m["gap_raw_all"], signed=True),
            "codes - bag of tokens": lambda m: interval(m["gap_bag_all"], signed=True),
            "n": lambda m: count(m["accuracy_all"])[2:],
        },
    )


def _comparisons(current: Sequence[Any]) -> str:
    lines = []
    for row in current:
        if row.kind != "headtohead" or not row.metrics:
            continue
        contrast = row.metrics[0]
        metric, _, pair = contrast["name"].partition(": ")
        lines.append(
            (
                metric.replace("_", " "),
                pair,
                interval(contrast, signed=True, digits=digits_for(contrast)),
                f"{contrast['p_holm']:.2g}",
                f"{'paired' if contrast['paired'] else 'unpaired'}, {count(contrast)[2:]}",
                row.label,
            )
        )
    if not lines:
        return ""
    header = ("metric", "contrast", "difference [95% CI]", "p (Holm)", "units", "verdict")
    return (
        "## Head to head\n\nEvery declared contrast, whether it flatters or not. A verdict is "
        "*inconclusive* when the interval includes 0 or Holm's correction over its family says "
        "so.\n\n" + table(header, lines, (2, 3))
    )


def digits_for(metric: Mapping[str, Any]) -> int:
    """Decimals that show a difference: three, or more for a small one."""
    low, high = metric.get("ci") or (metric["estimate"], metric["estimate"])
    return 3 if max(abs(low), abs(high)) >= 0.01 else 4


def _full(rows: Sequence[Any]) -> str:
    columns = list(rows[0].values) if rows else []
    header = [TITLES.get(name, name) for name in columns]
    lines = [[row.values[name] for name in columns] for row in rows]
    return "## Every row\n\n" + table(header, lines)


def _how_to_read(config: Mapping[str, Any]) -> str:
    return (
        "## How to read this\n\n"
        "Nobody types into this file: `snakemake results/ledger.md` renders it from metrics and "
        "run records. `config_hash` is the action key: rule, settings, code, environment and the "
        "content of all inputs. `date`, `git_commit`, `hardware`, `wall_clock` and `cost_est` "
        "describe the run that computed the number; they stay as they are when a result is "
        f"restored from the store. Verdicts use alpha = {config['ledger']['alpha']:g}."
    )
