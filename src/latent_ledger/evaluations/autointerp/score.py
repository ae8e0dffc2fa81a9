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

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
from latent_ledger.evaluations.autointerp.protocol import INTRUDER
from latent_ledger.evaluations.autointerp.records import Scorable, read, table
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.progress import Progress
from latent_ledger.scorers import opening
from latent_ledger.scorers.client import Client

ANSWERS, TABLE = "answers.parquet", "scores.parquet"
CLASSIFIERS = {
    "detection": DetectionScorer,
    "fuzzing": FuzzingScorer,
    "fuzzing_matched": FuzzingScorer,
}
"""delphi's scorer of each score in :data:`~.protocol.CLASSIFIED`."""


@dataclass
class Scored:
    """One latent under one score.

    Per answer: `examples` (row of ``examples.parquet``, or the trial), `labels` and `predictions`
    (0 or 1, or the index of the intruder; None where no answer could be read), `probabilities`
    (of a 1, where the scorer gives any). `prompts` counts all prompts, `failures` those without a
    readable answer.
    """

    latent: int
    score: str
    status: str
    prompts: int = 0
    failures: int = 0
    examples: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    predictions: list[int | None] = field(default_factory=list)
    probabilities: list[float | None] = field(default_factory=list)


SCORED = "scored"


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
    name, scored = asyncio.run(_score(latents, explained, settings, cache, log))
    write(Path(out), scored)
    return {
        "scorer": name,
        "latents": len(latents),
        "prompts": sum(latent.prompts for latent in scored),
        "unread_prompts": sum(latent.failures for latent in scored),
    }


async def _score(
    latents: list[Scorable],
    explained: Mapping[int, Mapping[str, Any]],
    settings: Mapping[str, Any],
    cache: Path | None,
    log: Path | None,
) -> tuple[str, list[Scored]]:
    """The scorer's name, and every latent under every score, in the order of the latents."""
    scores = settings["scores"]
    total = len(latents) * len(scores)
    with Progress("score", total=total, unit="score") as progress:
        async with opening.open_client(settings["scorer"], cache, log) as client:

            async def score_one(latent: Scorable, score: str) -> Scored:
                row = explained[latent.latent]
                if score == INTRUDER:
                    scored = await find_intruders(latent, client, settings)
                elif row["status"] != EXPLAINED:
                    scored = Scored(latent.latent, score, row["status"])
                else:
                    scored = await classify(
                        latent.explained(row["explanation"]), score, client, settings
                    )
                progress.update(1)
                return scored

            scored = await asyncio.gather(
                *(score_one(latent, score) for latent in latents for score in scores)
            )
            if client.broken:  # delphi swallows exceptions
                raise client.broken
            return client.name, scored


def latent_seed(seed: int, latent: int) -> int:
    """A seed per latent, so that no two latents share an order of examples."""
    return int(np.random.SeedSequence([seed, latent]).generate_state(1)[0])


async def classify(
    latent: Scorable, score: str, client: Client, settings: Mapping[str, Any]
) -> Scored:
    """Detection or fuzzing of one latent.

    Raises :class:`LedgerError` if `examples_shown` does not divide the number of examples.
    """
    shown, scorer = settings["examples_shown"], settings["scorer"]
    record = latent.with_matched() if score == "fuzzing_matched" else latent.record
    n = len(record.test) + len(record.not_active)
    if n % shown:
        raise LedgerError(
            f"{shown} examples per prompt do not divide {n} examples: delphi would drop a prompt. "
            "Choose an examples_shown that divides n_test + n_negatives."
        )
    strict = strict_client.StrictClient(client, strict_client.labels(shown), shown)
    delphi_scorer = CLASSIFIERS[score](
        strict,
        n_examples_shown=shown,
        log_prob=scorer.get("logprobs", False),
        temperature=scorer.get("temperature", 0.0),
        seed=latent_seed(settings["seed"], latent.latent),
    )
    outputs: Sequence[ClassifierOutput] = (await delphi_scorer(record)).score
    return Scored(
        latent.latent,
        score,
        SCORED,
        strict.prompts,
        strict.failures,
        [latent.row(output.str_tokens) for output in outputs],
        [int(output.activating) for output in outputs],
        [None if output.prediction is None else int(output.prediction) for output in outputs],
        [output.probability for output in outputs],
    )


async def find_intruders(latent: Scorable, client: Client, settings: Mapping[str, Any]) -> Scored:
    """One trial per negative, among test examples of one quantile."""
    shown = settings["examples_shown"]
    strict = strict_client.StrictClient(client, strict_client.intruder(shown))
    delphi_scorer = IntruderScorer(
        strict,
        n_examples_shown=shown,
        temperature=settings["scorer"].get("temperature", 0.0),
        seed=latent_seed(settings["seed"], latent.latent),
    )
    results = (await delphi_scorer(latent.with_matched())).score
    # delphi returns an unreadable answer as a wrong guess, but without its trial.
    readable = [result for result in results if result.sample is not None]
    return Scored(
        latent.latent,
        INTRUDER,
        SCORED,
        strict.prompts,
        strict.failures,
        list(range(len(readable))),
        [result.correct_index for result in readable],
        [result.prediction for result in readable],
        [None] * len(readable),
    )


def write(out: Path, scored: Sequence[Scored]) -> None:
    """Write two tables: one row per answer, and one per latent and score."""
    answers = {
        "latent": pa.array([s.latent for s in scored for _ in s.labels], pa.int64()),
        "score": pa.array([s.score for s in scored for _ in s.labels], pa.string()),
        "example": pa.array([value for s in scored for value in s.examples], pa.int64()),
        "label": pa.array([value for s in scored for value in s.labels], pa.int64()),
        "prediction": pa.array([value for s in scored for value in s.predictions], pa.int64()),
        "probability": pa.array([value for s in scored for value in s.probabilities], pa.float64()),
    }
    table(out / ANSWERS, answers)
    scores = {
        "latent": pa.array([s.latent for s in scored], pa.int64()),
        "score": pa.array([s.score for s in scored], pa.string()),
        "status": pa.array([s.status for s in scored], pa.string()),
        "prompts": pa.array([s.prompts for s in scored], pa.int64()),
        "unread_prompts": pa.array([s.failures for s in scored], pa.int64()),
    }
    table(out / TABLE, scores)
