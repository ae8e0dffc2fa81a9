"""Rows of sae_probes: how each is read from its payload, and their section of the ledger."""

from __future__ import annotations

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.formatting import count, interval, per_coder, share
from latent_ledger.evaluations.sae_probes.plan import NAME
from latent_ledger.models.hook_points import HookPoint, HookPointName
from latent_ledger.planning.stage import Finding, RowPlan, metrics_of, named


def sizes(names) -> list[int]:
    """The numbers of latents that were probed, ascending."""
    return sorted(int(name.removeprefix("auroc_k")) for name in names if name.startswith("auroc_k"))


def read(row: RowPlan, payload: Payload) -> Finding:
    """Mean AUROC of the largest sparse probe; beside it the smaller ones and the gap to raw."""
    metrics = metrics_of(payload)
    by = named(metrics)
    *smaller, k = sizes(by)
    main, gap, win = by[f"auroc_k{k}"], by[f"gap_raw_k{k}"], by[f"win_rate_k{k}"]
    listed = "".join(f"k={one} {interval(by[f'auroc_k{one}'])}; " for one in smaller)
    seeds = payload.facts["seeds"]
    text = (
        f"AUROC k={k} {interval(main)} ({count(main)}, mean of {len(seeds)} seeds); {listed}"
        f"logistic regression on raw {interval(by['auroc_raw'])}; k={k} - raw "
        f"{interval(gap, signed=True)}, better on {share(win)} of the data sets"
    )
    notes = "Texts that trained the model or a coder, or share a passage with one, are left out."
    hook_point = HookPoint.parse(payload.facts["hook_point"])
    if hook_point.point != HookPointName.RESID_POST:
        notes += f" Input hook {hook_point.point}; not comparable with SAEs on the residual."
    if len(seeds) > 1:
        notes += f" Seed sd {by[f'seed_sd_k{k}']['estimate']:.4f}."
    return Finding(text, main=main, null=0.5, notes=notes, metrics=metrics)


def section(current) -> str:
    """The ledger's table of all coders."""
    found = [row for row in current if row.row_type == NAME and row.metrics]
    if not found:
        return ""
    columns = {}
    for k in sizes(named(found[0].metrics)):
        columns[f"k={k}"] = lambda m, k=k: interval(m[f"auroc_k{k}"])
        columns[f"k={k} - raw"] = lambda m, k=k: interval(m[f"gap_raw_k{k}"], signed=True)
        columns[f"k={k} wins"] = lambda m, k=k: share(m[f"win_rate_k{k}"])
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
