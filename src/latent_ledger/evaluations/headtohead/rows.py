"""Rows of the head-to-heads: how each is read from its payload, and their section of the ledger."""

from collections.abc import Mapping, Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.formatting import (
    count,
    digits_for,
    interval,
    measured,
    titled_table,
)
from latent_ledger.evaluations.headtohead.plan import NAME
from latent_ledger.planning.stage import Finding, RowPlan, by_name, metrics_of


def read(row: RowPlan, payload: Payload) -> Finding:
    """The finding of one contrast: difference, interval and tests."""
    contrast = by_name(metrics_of(payload), row.metric or "", row.run_id)
    if contrast["not_made"]:
        text = f"{row.metric} has no number: {contrast['not_made']}"
        return Finding(text, main=contrast, null=0.0, metrics=[dict(contrast)])
    text = (
        f"{row.metric} = {interval(contrast, signed=True, digits=digits_for(contrast))} "
        f"({pairing(contrast)}, {count(contrast)}; p={contrast['p']:.2g}, "
        f"Holm {contrast['p_holm']:.2g})"
    )
    tests = ["BCa [{:+.3f}, {:+.3f}]".format(*contrast["bca"])] if contrast["bca"] else []
    tests += [
        f"{name} p={contrast[key]:.2g}"
        for name, key in (("Welch", "p_welch"), ("Mann-Whitney", "p_mannwhitney"))
        if contrast.get(key) is not None
    ]
    notes = "; ".join(tests) + "." if tests else ""
    if contrast.get("unfair"):
        differ = ", ".join(contrast["unfair"])
        notes = f"{notes} The coders differ in {differ}, as the configuration allows.".lstrip()
    return Finding(text, main=contrast, null=0.0, notes=notes, metrics=[dict(contrast)])


def pairing(contrast: Mapping[str, Any]) -> str:
    """The pairing of the two coders' units: matched, paired or unpaired."""
    if contrast["matched_on"]:
        return f"matched on {contrast['matched_on']}"
    return "paired" if contrast["paired"] else "unpaired"


def family_of(values: Mapping[str, Any]) -> str:
    """The family of a contrast, from the columns of its row."""
    return values["coder_type"].partition("(")[2].removesuffix(")")


def section(current: Sequence[Any]) -> str:
    """The ledger's table of all contrasts."""
    lines = []
    for row in measured(current, NAME):
        contrast = row.metrics[0]
        metric, _, pair = contrast["name"].partition(": ")
        if contrast["not_made"]:
            cells = ("", "", f"none: {contrast['not_made']}")
        else:
            cells = (
                interval(contrast, signed=True, digits=digits_for(contrast)),
                f"{contrast['p_holm']:.2g}",
                f"{pairing(contrast)}, {count(contrast)[2:]}",
            )
        short = metric.partition(".")[2].replace("_", " ")
        lines.append((family_of(row.values), short, pair, *cells, row.label))
    return titled_table(
        "## Head to head\n\nEvery declared contrast, whether it flatters or not. A verdict is "
        "*inconclusive* when the interval includes 0 or Holm's correction over its family says "
        "so. Families named *controls* say what is left of a number where there was nothing to "
        "be learnt. Latents of two coders are not the same units: they stay unpaired, or are "
        "matched one to one on how often they fire. An interval answers for other documents, "
        "examples or latents, not for another training run: what you build on deserves a second "
        "seed, of the coders and of the model; `latent-ledger compare` lays the ledgers side by "
        "side.",
        ("family", "metric", "contrast", "difference [95% CI]", "p (Holm)", "units", "verdict"),
        lines,
        (3, 4),
    )
