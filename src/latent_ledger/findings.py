"""What a row says: from a payload's metrics and facts to its key results, in words and numbers.

One function per kind of row, all returning a :class:`Finding`. Every number carries its unit, its
interval and its n; nothing is computed here that is not already in ``metrics.json`` or the facts.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from latent_ledger.errors import LedgerError
from latent_ledger.files import read_json
from latent_ledger.plan import RowPlan
from latent_ledger.store import Payload

Metric = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """The part of a row that comes from its payload."""

    key_results: str
    main: Metric | None = None
    null: float | None = None
    """Value of the main metric where there is no effect; None where none is defined."""
    notes: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    reference: dict[str, float] | None = None

    def metric(self, name: str, run_id: str) -> Metric:
        """The metric of this name; a LedgerError names the nearest when there is none."""
        return _by_name(self.metrics, name, run_id)


def read(row: RowPlan, payload: Payload) -> Finding:
    """Read the finding of `row` from its verified payload."""
    return _READERS[row.kind](row, payload)


def interval(metric: Metric, *, digits: int = 3, signed: bool = False) -> str:
    """An estimate with its 95% interval: ``0.713 [0.705, 0.721]``."""
    sign = "+" if signed else ""
    text = f"{metric['estimate']:{sign}.{digits}f}"
    if metric.get("ci"):
        low, high = metric["ci"]
        text += f" [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"
    return text


def count(metric: Metric) -> str:
    """How many of which unit an estimate rests on: ``n=312 documents``."""
    plural = "" if metric["n"] == 1 else "s"
    return f"n={metric['n']:,} {metric['unit']}{plural}"


def _language_model(row: RowPlan, payload: Payload) -> Finding:
    facts = payload.facts
    text = (
        f"held-out loss {facts['held_out_nats_per_token']:.3f} nats/token = "
        f"{facts['held_out_bits_per_byte']:.3f} bits/byte "
        f"(n={facts['held_out_tokens']:,} tokens); {facts['parameters']:,} parameters"
    )
    return Finding(text, columns={"tokens": f"{facts['training_tokens']:,}"})


def _parity(row: RowPlan, payload: Payload) -> Finding:
    parity = payload.facts["parity"]
    text = (
        f"relative error {parity['relative_error']:.1e} against {parity['against']} "
        f"(bound {parity['bound']:.0e}; n={parity['rows']:,} tokens)"
    )
    main = {"name": "relative_error", "estimate": parity["relative_error"]}
    return Finding(
        text,
        main=main,
        columns={"tokens": f"{payload.facts['n_rows']:,}"},
        reference={"value": 0.0, "tolerance": parity["bound"]},
    )


def _train(row: RowPlan, payload: Payload) -> Finding:
    facts = payload.facts
    text = (
        f"training FVU {facts['fvu']:.3f} over the last tenth of {facts['steps']:,} steps; "
        f"{100 * facts['dead_share']:.1f}% of latents silent (n={facts['tokens']:,} tokens)"
    )
    return Finding(text, columns={"tokens": f"{facts['tokens']:,}"})


def _reconstruction(row: RowPlan, payload: Payload) -> Finding:
    metrics = _metrics(payload)
    named = {metric["name"]: metric for metric in metrics}
    ve, l0 = named["variance_explained"], named["l0"]
    recovered = named["loss_recovered"]
    text = (
        f"variance explained {interval(ve)} ({count(ve)}; "
        f"{interval(named['variance_explained_with_bos'])} with BOS); "
        f"loss recovered {interval(recovered)} ({count(recovered)}); "
        f"KL {interval(named['kl'], digits=4)} nats/token; cosine {interval(named['cosine'])}; "
        f"dead {100 * named['dead_share']['estimate']:.1f}%, dense "
        f"{100 * named['dense_share']['estimate']:.1f}% of {named['dead_share']['n']:,} latents"
    )
    columns = {"sparsity": f"{row.columns['sparsity']}, L0={l0['estimate']:.1f}"}
    return Finding(text, main=ve, null=0.0, columns=columns, metrics=metrics)


def _probing(row: RowPlan, payload: Payload) -> Finding:
    metrics = _metrics(payload)
    named = {metric["name"]: metric for metric in metrics}
    accuracy = named["accuracy_all"]
    sparse = ", ".join(
        f"k={name.removeprefix('accuracy_top')} {named[name]['estimate']:.3f}"
        for name in sorted(named)
        if name.startswith("accuracy_top") and "/" not in name
    )
    text = (
        f"accuracy {interval(accuracy)}, AUROC {interval(named['auroc_all'])} ({count(accuracy)}); "
        f"sparse probes: {sparse}; raw site {named['accuracy_raw']['estimate']:.3f}, "
        f"bag of tokens {named['accuracy_bag_of_tokens']['estimate']:.3f}; "
        f"codes - raw {interval(named['gap_raw_all'], signed=True)}, "
        f"codes - bag of tokens {interval(named['gap_bag_all'], signed=True)}"
    )
    return Finding(text, main=accuracy, null=0.5, metrics=metrics)


def _headtohead(row: RowPlan, payload: Payload) -> Finding:
    metrics = _metrics(payload)
    contrast = _by_name(metrics, row.metric or "", row.run_id)
    how = "paired" if contrast["paired"] else "unpaired"
    text = (
        f"{row.metric} = {interval(contrast, signed=True)} "
        f"({how}, {count(contrast)}; p={contrast['p']:.2g}, Holm {contrast['p_holm']:.2g})"
    )
    beside = [
        f"{name} p={contrast[key]:.2g}"
        for name, key in (("Welch", "p_welch"), ("Mann-Whitney", "p_mannwhitney"))
        if contrast.get(key) is not None
    ]
    low, high = contrast["bca"]
    notes = "; ".join([f"BCa [{low:+.3f}, {high:+.3f}]", *beside]) + "."
    if contrast.get("unfair"):
        notes += (
            f" The coders differ in {', '.join(contrast['unfair'])}, as the configuration allows."
        )
    return Finding(text, main=contrast, null=0.0, notes=notes, metrics=[dict(contrast)])


def _metrics(payload: Payload) -> list[dict[str, Any]]:
    return read_json(payload.folder() / "metrics.json")["metrics"]


def _by_name(metrics: list[dict[str, Any]], name: str, run_id: str) -> dict[str, Any]:
    for metric in metrics:
        if metric["name"] == name:
            return metric
    near = difflib.get_close_matches(name, [metric["name"] for metric in metrics], 1)
    hint = f"; the nearest is {near[0]!r}" if near else ""
    raise LedgerError(f"{run_id} has no metric {name!r}{hint}.")


_READERS: dict[str, Callable[[RowPlan, Payload], Finding]] = {
    "language_model": _language_model,
    "parity": _parity,
    "train": _train,
    "reconstruction": _reconstruction,
    "probing": _probing,
    "headtohead": _headtohead,
}
