"""Collect: what one reader made of a coder, per requested latent and kind of score, and over them.

A latent that has no score keeps its row, with the reason in ``status``; metrics are means over the
rows with status "scored", and the others are counted in the facts. ``score`` is the balanced
accuracy, and for intruders the share of trials that were right; ``adjusted`` is explained in
:mod:`~.measures`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from latent_ledger.evaluations.autointerp.measures import Summary, adjusted, summarise
from latent_ledger.lib.errors import LedgerError
from latent_ledger.statistics.records import Records

TABLE = "latents.parquet"
SCORABLE, SCORED, UNREAD = "scorable", "scored", "answers not parsed"
INTRUDER = "intruder"
GIVEN = ("label", "prediction", "probability")

MEANINGS = {
    "detection": "balanced accuracy of telling examples that contain the latent from others",
    "fuzzing": "balanced accuracy of telling right marks from wrong ones, which lie where delphi "
    "puts them",
    "fuzzing_matched": "balanced accuracy of telling right marks from wrong ones, which lie where "
    "right ones do",
    INTRUDER: "share of trials in which the example without the latent was found",
    "embedding": "balanced accuracy of telling, by similarity to its examples, whether a text has "
    "the latent",
}

Row = dict[str, Any]


def produce(
    settings: Mapping[str, Any],
    examples: Path,
    out: Path,
    *,
    scores: Path,
    explanations: Path | None = None,
) -> dict[str, Any]:
    """Write ``metrics.json`` and ``latents.parquet`` into `out`; returns facts.

    `settings`: reader (the name of the scorer or encoder), resamples, seed, reference_frequency.
    `examples`, `scores` and, of a reader that explains, `explanations`: the payloads of the stages
    before. Raises :class:`LedgerError` if a kind of score has no latent left.
    """
    reader = settings["reader"]
    requested = pq.read_table(Path(examples) / "latents.parquet").to_pylist()
    if not any(one["status"] == SCORABLE for one in requested):
        raise LedgerError(f"None of {len(requested)} latents has examples {_reasons(requested)}")
    told = _explanations(explanations) if explanations else {}
    rows = rows_of(reader, Path(scores), requested, told)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["kind"], []).append(row)
    unadjusted, extrapolated = [], []
    reference = settings["reference_frequency"]
    for kind, members in groups.items():
        scored = [row for row in members if row["status"] == SCORED]
        if not scored:
            raise LedgerError(
                f"{kind} by {reader}: none of {len(members)} latents could be scored "
                f"{_reasons(members)}"
            )
        values = adjusted(
            *(np.array([row[name] for row in scored]) for name in ("score", "frequency")),
            reference,
        )
        fired = [row["frequency"] for row in scored]
        if not min(fired) <= reference <= max(fired):
            extrapolated.append(f"{kind}_{reader}")
        if values is None:
            unadjusted.append(f"{kind}_{reader}")
        else:
            for row, value in zip(scored, values.tolist(), strict=True):
                row["adjusted"] = value
    records = Records(out, resamples=settings["resamples"], seed=settings["seed"])
    records.table(TABLE, _columns(rows))
    for kind, members in groups.items():
        _measure(records, kind, reader, members, settings, f"{kind}_{reader}" not in unadjusted)
    facts = {
        "reader": reader,
        "requested": len(requested),
        "statuses": {
            f"{kind}_{reader}": dict(sorted(Counter(row["status"] for row in members).items()))
            for kind, members in groups.items()
        },
        "not_adjusted": unadjusted,
        "extrapolated": extrapolated,
    }
    records.write(facts)
    return facts


def rows_of(
    reader: str, folder: Path, requested: list[Row], told: Mapping[int, str | None]
) -> list[Row]:
    """One row per kind of score and requested latent, whether or not it was scored."""
    answers = pq.read_table(folder / "answers.parquet")
    latent, kinds = (answers[name].to_numpy() for name in ("latent", "kind"))
    # Labels, predictions and probabilities as numbers; NaN where there is none.
    given = [answers[name].to_numpy().astype(float) for name in GIVEN]
    scores = pq.read_table(folder / "scores.parquet").to_pylist()
    tried = {(row["kind"], row["latent"]): row for row in scores}
    rows = []
    for kind in dict.fromkeys(row["kind"] for row in scores):
        for one in requested:
            attempt = tried.get((kind, one["latent"]))
            status = one["status"] if attempt is None else attempt["status"]
            summary = Summary(0, 0, np.nan, np.nan, np.nan)
            if status == SCORED:
                own = (latent == one["latent"]) & (kinds == kind)
                summary = _summary(kind, *(column[own] for column in given))
            score = summary.accuracy if kind == INTRUDER else summary.balanced_accuracy
            if status == SCORED and np.isnan(score):
                status = UNREAD
            rows.append(
                {
                    "latent": one["latent"],
                    "reader": reader,
                    "kind": kind,
                    "status": status,
                    "score": score,
                    "adjusted": np.nan,
                    "accuracy": summary.accuracy,
                    "balanced_accuracy": np.nan if kind == INTRUDER else summary.balanced_accuracy,
                    "auroc": summary.auroc,
                    "answers": summary.parsed,
                    "prompts": attempt["prompts"] if attempt else 0,
                    "unread_prompts": attempt["unread_prompts"] if attempt else 0,
                    "frequency": one["frequency"],
                    "stratum": one["stratum"],
                    "windows": one["windows"],
                    "explanation": told.get(one["latent"]),
                }
            )
    return rows


def _summary(
    kind: str, labels: np.ndarray, predictions: np.ndarray, probabilities: np.ndarray
) -> Summary:
    """The summary of a latent's answers; labels of intruders are places, not two classes."""
    if kind != INTRUDER:
        return summarise(labels, predictions, probabilities)
    right = float((labels == predictions).mean()) if len(labels) else np.nan
    return Summary(len(labels), len(labels), right, np.nan, np.nan)


def _measure(
    records: Records,
    kind: str,
    reader: str,
    members: list[Row],
    settings: Mapping[str, Any],
    is_adjusted: bool,
) -> None:
    """The metrics of one kind of score by one scorer or encoder."""
    name, meaning = f"{kind}_{reader}", MEANINGS[kind]
    where = {"reader": reader, "kind": kind, "status": SCORED}
    scored = [row for row in members if row["status"] == SCORED]
    reference = settings["reference_frequency"]
    measured = [(name, "score", f"Mean over latents of the {meaning}.")]
    if is_adjusted:
        text = f"{name} as the least-squares line in log frequency has it at {reference:g}."
        measured.append((f"{name}_adjusted", "adjusted", text))
    if not any(np.isnan(row["auroc"]) for row in scored):
        measured.append((f"{name}_auroc", "auroc", f"Mean over latents of the AUROC of {kind}."))
    for metric, column, text in measured:
        records.measure(
            metric,
            "mean",
            TABLE,
            unit="latent",
            higher_is_better=True,
            description=text,
            where=where,
            unit_id="latent",
            value=column,
        )
    prompts = sum(row["prompts"] for row in members)
    records.add(
        f"{name}_unread",
        sum(row["unread_prompts"] for row in members) / prompts if prompts else 0.0,
        unit="prompt",
        n=prompts,
        higher_is_better=False,
        description=f"Share of the prompts of {name} without an answer that could be read exactly.",
    )


def _explanations(folder: Path) -> dict[int, str | None]:
    table = pq.read_table(Path(folder) / "explanations.parquet").to_pydict()
    return dict(zip(table["latent"], table["explanation"], strict=True))


def _columns(rows: list[Row]) -> dict[str, list]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def _reasons(rows: list[Row]) -> str:
    """The end of an error line: how many latents have which status, and what to do."""
    counts = Counter(row["status"] for row in rows)
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    return (
        f"({told}); give tokens.budget.scoring more or lower evaluations.autointerp.min_examples."
    )
