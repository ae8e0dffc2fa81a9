"""The evaluation of a coder by one scorer or encoder, per latent and score, and over latents.

A latent without a value keeps its row, with the reason in ``status``. Metrics are means over the
rows with status "scored"; the facts count the others. ``value`` is the balanced accuracy, and for
intruders the share of correct trials; :mod:`~.measures` defines ``adjusted``.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from latent_ledger.evaluations.autointerp.measures import Summary, adjusted, summarise
from latent_ledger.evaluations.autointerp.protocol import INTRUDER, SCORABLE, SCORED
from latent_ledger.lib.errors import LedgerError
from latent_ledger.statistics.records import Records, by_column

TABLE = "latents.parquet"
UNREAD = "answers not parsed"
ANSWER_COLUMNS = ("label", "prediction", "probability")

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

    `settings`: scorer_or_encoder (its name), resamples, seed, reference_frequency and, of a scorer,
    examples_shown (per prompt). `examples`, `scores` and, of a scorer, `explanations`: the payloads
    of the jobs before. Raises :class:`LedgerError` if no latent has examples or a score has no
    scored latent.
    """
    scorer, reference = settings["scorer_or_encoder"], settings["reference_frequency"]
    requested = pq.read_table(Path(examples) / "latents.parquet").to_pylist()
    if not any(latent["status"] == SCORABLE for latent in requested):
        raise LedgerError(f"None of {len(requested)} latents has examples {_reasons(requested)}")
    explained = {}
    if explanations:
        table = pq.read_table(Path(explanations) / "explanations.parquet").to_pydict()
        explained = dict(zip(table["latent"], table["explanation"], strict=True))
    rows = latent_rows(scorer, Path(scores), requested, explained)
    groups = {score: list(members) for score, members in groupby(rows, itemgetter("score"))}
    not_adjusted, extrapolated = [], []
    for score, members in groups.items():
        scored = _scored(members)
        if not scored:
            none = f"{score} by {scorer}: none of {len(members)} latents could be scored"
            raise LedgerError(f"{none} {_reasons(members)}")
        measured, fired = (
            np.array([row[column] for row in scored]) for column in ("value", "frequency")
        )
        values = adjusted(measured, fired, reference)
        if not fired.min() <= reference <= fired.max():
            extrapolated.append(f"{score}_{scorer}")
        if values is None:
            not_adjusted.append(f"{score}_{scorer}")
        else:
            for row, value in zip(scored, values.tolist(), strict=True):
                row["adjusted"] = value
    records = Records(out, resamples=settings["resamples"], seed=settings["seed"])
    records.table(TABLE, by_column(rows))
    for score, members in groups.items():
        _measure(records, score, scorer, members, reference)
    facts = {
        "scorer_or_encoder": scorer,
        "examples_shown": settings.get("examples_shown"),  # an encoder is shown none
        "requested": len(requested),
        "statuses": {f"{score}_{scorer}": _statuses(rows) for score, rows in groups.items()},
        "not_adjusted": not_adjusted,
        "extrapolated": extrapolated,
    }
    records.write(facts)
    return facts


def latent_rows(
    scorer: str, folder: Path, requested: list[Row], explained: Mapping[int, str | None]
) -> list[Row]:
    """One row per score and requested latent, scored or not."""
    answers = pq.read_table(folder / "answers.parquet")
    latents, scores = (answers[name].to_numpy() for name in ("latent", "score"))
    # Labels, predictions and probabilities as numbers; NaN where there is none.
    answer_columns = [answers[name].to_numpy().astype(float) for name in ANSWER_COLUMNS]
    attempts = pq.read_table(folder / "scores.parquet").to_pylist()
    attempt_of = {(row["score"], row["latent"]): row for row in attempts}
    unasked = {"prompts": 0, "unread_prompts": 0}
    rows = []
    for score in dict.fromkeys(row["score"] for row in attempts):
        for latent in requested:
            attempt = attempt_of.get((score, latent["latent"]), unasked | latent)
            status, summary = attempt["status"], Summary()
            if status == SCORED:
                selected = (latents == latent["latent"]) & (scores == score)
                summary = summarise(*(column[selected] for column in answer_columns))
            # The labels of intruders are indices, not two classes.
            balanced = np.nan if score == INTRUDER else summary.balanced_accuracy
            value = summary.accuracy if score == INTRUDER else balanced
            if status == SCORED and np.isnan(value):
                status = UNREAD
            rows.append(
                {
                    "latent": latent["latent"],
                    "scorer_or_encoder": scorer,
                    "score": score,
                    "status": status,
                    "value": value,
                    "adjusted": np.nan,
                    "accuracy": summary.accuracy,
                    "balanced_accuracy": balanced,
                    "auroc": summary.auroc,
                    "answers": summary.parsed,
                    "prompts": attempt["prompts"],
                    "unread_prompts": attempt["unread_prompts"],
                    "frequency": latent["frequency"],
                    "stratum": latent["stratum"],
                    "windows": latent["windows"],
                    "explanation": explained.get(latent["latent"]),
                }
            )
    return rows


def _scored(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["status"] == SCORED]


def _measure(
    records: Records, score: str, scorer: str, members: list[Row], reference: float
) -> None:
    """Record the metrics of one score by one scorer or encoder, but for columns with gaps."""
    name = f"{score}_{scorer}"
    line = f"{name} as the least-squares line in log frequency has it at {reference:g}."
    for metric, column, description in (
        (name, "value", f"Mean over latents of the {MEANINGS[score]}."),
        (f"{name}_adjusted", "adjusted", line),
        (f"{name}_auroc", "auroc", f"Mean over latents of the AUROC of {score}."),
    ):
        if not any(np.isnan(row[column]) for row in _scored(members)):
            records.measure(
                metric,
                "mean",
                TABLE,
                unit="latent",
                higher_is_better=True,
                description=description,
                where={"scorer_or_encoder": scorer, "score": score, "status": SCORED},
                unit_id="latent",
                value=column,
            )
    prompts, unread = (sum(row[key] for row in members) for key in ("prompts", "unread_prompts"))
    records.add(
        f"{name}_unread",
        unread / prompts if prompts else 0.0,
        unit="prompt",
        n=prompts,
        higher_is_better=False,
        description=f"Share of the prompts of {name} without an answer that could be read exactly.",
    )


def _statuses(rows: list[Row]) -> dict[str, int]:
    """Latents per status, by name."""
    return dict(sorted(Counter(row["status"] for row in rows).items()))


def _reasons(rows: list[Row]) -> str:
    """The end of an error line: latents per status, and the remedy."""
    summary = ", ".join(f"{count} {reason}" for reason, count in _statuses(rows).items())
    remedy = "give tokens.budget.scoring more or lower evaluations.autointerp.min_examples"
    return f"({summary}); {remedy}."
