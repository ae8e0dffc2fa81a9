"""Scores of a scorer, which reads held-out examples and answers where each latent fires.

======================  ============================================  =======  ===================
score                   question (delphi's prompts)                   chance   explanation
======================  ============================================  =======  ===================
``detection``           does this example contain the latent?         0.5      needed
``fuzzing``             are the marked tokens the latent's?           0.5      needed
``fuzzing_matched``     the same; negatives marked as positives are   0.5      needed
``intruder``            which example does not belong to the others?  1/shown  none
======================  ============================================  =======  ===================

Only ``fuzzing`` marks negatives as delphi does; ``intruder`` marks its intruders as positives are,
because delphi's fixed place reveals the intruder as well. Every latent has its own scorer, seeded
by the latent, so that neither the order nor the set of latents changes its prompts.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latent_ledger.evaluations.autointerp import strict_client
from latent_ledger.evaluations.autointerp.delphi_io import (
    ClassifierOutput,
    DetectionScorer,
    FuzzingScorer,
    IntruderScorer,
)
from latent_ledger.evaluations.autointerp.explain import EXPLAINED, EXPLANATIONS
from latent_ledger.evaluations.autointerp.protocol import INTRUDER, SCORED
from latent_ledger.evaluations.autointerp.records import Scorable, read, table
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.progress import Progress
from latent_ledger.scorers import opening
from latent_ledger.scorers.client import Client

ANSWERS, TABLE = "answers.parquet", "scores.parquet"
INT, TEXT = pa.int64(), pa.string()
ANSWER_COLUMNS = pa.schema(
    {
        "latent": INT,
        "score": TEXT,
        "example": INT,
        "label": INT,
        "prediction": INT,
        "probability": pa.float64(),
    }
)
COLUMNS = pa.schema(
    {"latent": INT, "score": TEXT, "status": TEXT, "prompts": INT, "unread_prompts": INT}
)
CLASSIFIERS = {
    "detection": DetectionScorer,
    "fuzzing": FuzzingScorer,
    "fuzzing_matched": FuzzingScorer,
}
"""delphi's scorer of each score in :data:`~.protocol.CLASSIFIED`."""


class Answer(NamedTuple):
    """One answer of a scorer or encoder."""

    example: int
    """Row of ``examples.parquet``, or the trial."""
    label: int
    """0 or 1, or the index of the intruder; the same of the prediction."""
    prediction: int | None
    """None where no answer could be read."""
    probability: float | None = None
    """Of a 1, where the scorer gives any."""


@dataclass
class Scored:
    """One latent under one score; `unread_prompts` are those without a readable answer."""

    latent: int
    score: str
    status: str
    prompts: int = 0
    unread_prompts: int = 0
    answers: list[Answer] = field(default_factory=list)


def produce(
    settings: Mapping[str, Any],
    examples: Path,
    explanations: Path,
    out: Path,
    cache: Path | None = None,
    log: Path | None = None,
) -> dict[str, Any]:
    """Write ``answers.parquet`` and ``scores.parquet`` into `out`.

    `settings`: scorer, scores (of :data:`~.protocol.ASKED`), examples_shown (per prompt; divides
    the number of test examples and negatives together), seed. `cache` and `log`: see
    :func:`latent_ledger.scorers.opening.open_client`. Returns facts. Raises the error of a
    scorer that cannot answer at all.
    """
    latents = read(examples)
    rows = pq.read_table(Path(explanations) / EXPLANATIONS).to_pylist()
    explained = {row["latent"]: row for row in rows}
    client = opening.open_client(settings["scorer"], cache, log)

    async def ask(item: tuple[Scorable, str]) -> Scored:
        latent, score = item
        row = explained[latent.latent]
        if score == INTRUDER:
            return await find_intruders(latent, client, settings)
        if row["status"] != EXPLAINED:
            return Scored(latent.latent, score, row["status"])
        return await classify(latent.explained(row["explanation"]), score, client, settings)

    items = list(itertools.product(latents, settings["scores"]))
    progress = Progress("score", total=len(items), unit="score")
    scored = strict_client.ask_all(progress, client, items, ask)
    write(Path(out), scored)
    return {
        "scorer": client.name,
        "latents": len(latents),
        "prompts": sum(latent.prompts for latent in scored),
        "unread_prompts": sum(latent.unread_prompts for latent in scored),
    }


def latent_seed(seed: int, latent: int) -> int:
    """A seed per latent, so that no two latents share an order of examples."""
    return int(np.random.SeedSequence([seed, latent]).generate_state(1)[0])


async def classify(
    latent: Scorable, score: str, client: Client, settings: Mapping[str, Any]
) -> Scored:
    """Detection or fuzzing of one latent.

    Raises :class:`LedgerError` if `examples_shown` does not divide the number of examples.
    """
    shown = settings["examples_shown"]
    record = latent.with_matched() if score == "fuzzing_matched" else latent.record
    n = len(record.test) + len(record.not_active)
    if n % shown:
        raise LedgerError(
            f"{shown} examples per prompt do not divide {n} examples: delphi would drop a prompt. "
            "Choose an examples_shown that divides n_test + n_negatives."
        )
    strict = strict_client.StrictClient(client, partial(strict_client.labels, n=shown), shown)
    log_prob = settings["scorer"].get("logprobs", False)
    delphi_scorer = CLASSIFIERS[score](strict, log_prob=log_prob, **_options(latent, settings))
    outputs: Sequence[ClassifierOutput] = (await delphi_scorer(record)).score
    answers = [
        Answer(
            latent.rows[id(output.str_tokens)],
            int(output.activating),
            None if output.prediction is None else int(output.prediction),
            output.probability,
        )
        for output in outputs
    ]
    return Scored(latent.latent, score, SCORED, strict.prompts, strict.failures, answers)


async def find_intruders(latent: Scorable, client: Client, settings: Mapping[str, Any]) -> Scored:
    """One trial per negative, among test examples of one quantile."""
    read = partial(strict_client.intruder, n=settings["examples_shown"])
    strict = strict_client.StrictClient(client, read)
    delphi_scorer = IntruderScorer(strict, **_options(latent, settings))
    results = (await delphi_scorer(latent.with_matched())).score
    # delphi returns an unreadable answer as a wrong guess, but without its trial.
    readable = [result for result in results if result.sample is not None]
    answers = [
        Answer(trial, result.correct_index, result.prediction)
        for trial, result in enumerate(readable)
    ]
    return Scored(latent.latent, INTRUDER, SCORED, strict.prompts, strict.failures, answers)


def _options(latent: Scorable, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Options that all of delphi's scorers take."""
    return {
        "n_examples_shown": settings["examples_shown"],
        "temperature": settings["scorer"].get("temperature", 0.0),
        "seed": latent_seed(settings["seed"], latent.latent),
    }


def write(out: Path, scored: Sequence[Scored]) -> None:
    """Write two tables: one row per answer, and one per latent and score."""
    answers = [
        {"latent": latent.latent, "score": latent.score, **answer._asdict()}
        for latent in scored
        for answer in latent.answers
    ]
    table(out / ANSWERS, pa.Table.from_pylist(answers, ANSWER_COLUMNS))
    rows = [{name: getattr(latent, name) for name in COLUMNS.names} for latent in scored]
    table(out / TABLE, pa.Table.from_pylist(rows, COLUMNS))
