"""Rows of sae_probes, read from their payloads, and their section of the ledger."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.formatting import count, hook_point_note, interval, per_coder, share
from latent_ledger.evaluations.sae_probes.plan import NAME
from latent_ledger.planning.stage import Finding, Metric, RowPlan, metrics_of, named


def sizes(names: Iterable[str]) -> list[int]:
    """The numbers of latents that were probed, ascending."""
    return sorted(int(name.removeprefix("auroc_k")) for name in names if name.startswith("auroc_k"))


def read(row: RowPlan, payload: Payload) -> Finding:
    """Mean AUROC of the largest sparse probe; then the smaller ones and the gap to raw."""
    metrics = metrics_of(payload)
    by = named(metrics)
    *smaller, k = sizes(by)
    main, gap, win = by[f"auroc_k{k}"], by[f"gap_raw_k{k}"], by[f"win_rate_k{k}"]
    listed = "".join(f"k={size} {interval(by[f'auroc_k{size}'])}; " for size in smaller)
    seeds = payload.facts["seeds"]
    text = (
        f"AUROC k={k} {interval(main)} ({count(main)}, mean of {len(seeds)} seeds); {listed}"
        f"logistic regression on raw {interval(by['auroc_raw'])}; k={k} - raw "
        f"{interval(gap, signed=True)}, better on {share(win)} of the data sets"
    )
    notes = "Texts that trained the model or a coder, or share a passage with one, are left out."
    notes += hook_point_note(payload.facts["hook_point"])
    if len(seeds) > 1:
        notes += f" Seed sd {by[f'seed_sd_k{k}']['estimate']:.4f}."
    return Finding(text, main=main, null=0.5, notes=notes, metrics=metrics)


def _columns(k: int) -> dict[str, Callable[[dict[str, Metric]], str]]:
    """The columns of the probes on `k` latents: header -> cell, from a coder's metrics by name."""
    return {
        f"k={k}": lambda m: interval(m[f"auroc_k{k}"]),
        f"k={k} - raw": lambda m: interval(m[f"gap_raw_k{k}"], signed=True),
        f"k={k} wins": lambda m: share(m[f"win_rate_k{k}"]),
    }


def section(current: Sequence[Any]) -> str:
    """The ledger's table of all coders."""
    rows = [row for row in current if row.row_type == NAME and row.metrics]
    if not rows:
        return ""
    columns: dict[str, Any] = {}
    for k in sizes(named(rows[0].metrics)):
        columns |= _columns(k)
    columns["raw"] = lambda m: interval(m["auroc_raw"])
    columns["n"] = lambda m: count(m["auroc_raw"])[2:]
    return per_coder(
        current,
        NAME,
        "## sae_probes\n\n"
        "Test AUROC of sae_probes' own sparse probes, mean over its data sets and seeds; chance is "
        "0.5. Raw is its logistic regression on the activations that the coder reads: a negative "
        "gap means that the coder's latents lose what a plain probe finds. Intervals are over data "
        "sets.",
        columns,
    )
