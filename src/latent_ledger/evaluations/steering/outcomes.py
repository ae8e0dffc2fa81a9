"""Success at matched fluency: one half of the generations for choices, the other for results.

Per arm, the coefficient is the one with the highest success among the admissible ones, whose texts
have a mean perplexity of at most `cap` times that of the unsteered ones. Both are judged on the
generations of even index alone; what is reported comes from the odd ones. An arm without an
admissible coefficient falls back to 0, the unsteered text, and then has no effect by definition.

Contrasts are differences per generation: all arms write generation i on the same random numbers.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
from statsmodels.stats.proportion import proportion_confint

from latent_ledger.statistics import resampling
from latent_ledger.statistics.records import Records, select

ARMS = ("latent", "dom", "random")
BASELINE = "baseline"

ARM_DESCRIPTIONS = {
    "latent": "the decoder direction of the concept's best latent",
    "dom": "the difference of means",
    "random": "random directions",
    BASELINE: "no steering",
}

CONTRASTS = {
    "gap_dom": ("latent", "dom"),
    "gap_random": ("latent", "random"),
    "gap_dom_random": ("dom", "random"),
    "effect_latent": ("latent", BASELINE),
    "effect_dom": ("dom", BASELINE),
    "effect_random": ("random", BASELINE),
}
"""Metric -> (a, b): success of a minus success of b."""

DECLARED = "gap_dom"
"""The contrast declared as the row's verdict; Holm's correction covers the others."""

TABLE = "outcomes.parquet"


@dataclass(frozen=True)
class Cell:
    """The texts of one arm at one coefficient: one entry per generation, [n]."""

    arm: str
    coefficient: float
    success: np.ndarray
    bag_success: np.ndarray
    perplexity: np.ndarray


@dataclass(frozen=True)
class Choice:
    """The reported cell of an arm, and its admissible coefficients."""

    cell: Cell
    admissible: tuple[float, ...]


def selection_half(n: int) -> np.ndarray:
    """Mask [n] of the generations that choose the coefficient: those of even index."""
    return np.arange(n) % 2 == 0


def is_fluent(cell: Cell, baseline: Cell, half: np.ndarray, cap: float) -> bool:
    """Whether mean perplexity over the generations in `half` is within `cap` times the baseline."""
    return bool(cell.perplexity[half].mean() <= cap * baseline.perplexity[half].mean())


def choose(cells: Sequence[Cell], baseline: Cell, cap: float) -> Choice:
    """The admissible cell with the highest success on the selection half, else the baseline.

    `cells`: one arm's, by rising coefficient; the smaller coefficient wins a tie.
    """
    half = selection_half(len(baseline.success))
    fluent = [cell for cell in cells if is_fluent(cell, baseline, half, cap)]
    best = max(fluent, key=lambda cell: cell.success[half].mean(), default=baseline)
    return Choice(best, tuple(cell.coefficient for cell in fluent))


def outcome_rows(concept: str, cells: Mapping[str, Cell]) -> dict[str, np.ndarray]:
    """Rows of the outcomes table, one per reported generation; `cells`: those reported, by arm."""
    reported = np.flatnonzero(~selection_half(len(cells[BASELINE].success)))
    rows: dict[str, np.ndarray] = {
        "unit_id": np.array([f"{concept}/{index}" for index in reported]),
        "concept": np.repeat(concept, len(reported)),
        "index": reported,
    }
    for arm, cell in cells.items():
        rows[f"success_{arm}"] = cell.success[reported].astype(np.float64)
        rows[f"bag_success_{arm}"] = cell.bag_success[reported].astype(np.float64)
        rows[f"perplexity_{arm}"] = cell.perplexity[reported]
    for name, (a, b) in CONTRASTS.items():
        rows[name] = rows[f"success_{a}"] - rows[f"success_{b}"]
        rows[f"{name}_bag"] = rows[f"bag_success_{a}"] - rows[f"bag_success_{b}"]
    return rows


def cell_rows(
    concept: str, cells: Sequence[Cell], reported: Mapping[str, Cell], cap: float
) -> Iterator[dict[str, Any]]:
    """Rows of ``cells.parquet``: every cell on either half; `cells` has the baseline first."""
    selection = selection_half(len(cells[0].success))
    for cell, (name, half) in product(cells, (("selection", selection), ("reported", ~selection))):
        measured = ("success", "bag_success", "perplexity")
        yield {
            "concept": concept,
            "arm": cell.arm,
            "coefficient": cell.coefficient,
            "half": name,
            "n": int(half.sum()),
            **{column: float(getattr(cell, column)[half].mean()) for column in measured},
            "fluent": is_fluent(cell, cells[0], half, cap),
            "chosen": reported[cell.arm] is cell,
        }


def measurements(concept: str | None) -> Iterator[tuple[str, str, str, dict[str, str]]]:
    """The metrics of one concept, or of all concepts together, from the outcomes table.

    Yields (metric, statistic, description, columns).
    """
    for arm, arm_text in ARM_DESCRIPTIONS.items():
        text = f"Share of texts that the judge takes for the concept under {arm_text}"
        yield f"success_{arm}", "mean", text, {"value": f"success_{arm}"}
    for name, (a, b) in CONTRASTS.items():
        arms = f"{ARM_DESCRIPTIONS[a]} minus that under {ARM_DESCRIPTIONS[b]}"
        yield name, "mean", f"Success under {arms}, at matched fluency", {"value": name}
    if concept is not None:
        return
    for name, (a, b) in CONTRASTS.items():
        text = f"The same by the bag-of-tokens judge: {a} minus {b}"
        yield f"{name}_bag", "mean", text, {"value": f"{name}_bag"}
    for arm in ARMS:
        text = f"Mean perplexity under {ARM_DESCRIPTIONS[arm]} over that of the unsteered texts"
        columns = {"numerator": f"perplexity_{arm}", "denominator": f"perplexity_{BASELINE}"}
        yield f"perplexity_ratio_{arm}", "ratio", text, columns


def record(records: Records, concepts: Sequence[str]) -> None:
    """Record every metric of the outcomes table: over all concepts, then for each.

    Contrasts carry the p of their paired bootstrap. Holm's correction runs over the contrasts that
    were not declared, and within each contrast over the concepts.
    """
    for concept in (None, *concepts):
        for name, statistic, text, columns in measurements(concept):
            records.measure(
                f"{name}/{concept}" if concept else name,
                statistic,
                TABLE,
                unit="generation",
                higher_is_better=statistic != "ratio",
                description=f"{text}, {concept or 'all concepts'}; reported half of the "
                "generations.",
                where={"concept": concept} if concept else {},
                unit_id="unit_id",
                **columns,
            )
    for name in CONTRASTS:
        _test(records, [f"{name}/{concept}" for concept in concepts])
    _test(records, [DECLARED])
    _test(records, [name for name in CONTRASTS if name != DECLARED])


def record_judge(records: Records, concept: str, accuracy: float, n: int) -> None:
    """Record how often the judge is right on the n test examples, half of which are positive."""
    records.add(
        f"judge_accuracy/{concept}",
        accuracy,
        ci=proportion_confint(round(accuracy * n), n, method="wilson"),
        unit="example",
        n=n,
        higher_is_better=True,
        description=f"Share of test examples of {concept} that the judge labels right; Wilson.",
    )


def _test(records: Records, family: Sequence[str]) -> None:
    """Add ``p`` and Holm's ``p_holm`` to the metrics of one family of contrasts.

    p is two-sided, by the paired bootstrap that made the interval.
    """
    p_values = []
    for name in family:
        rows = records.tables[TABLE]
        rows = rows.filter(pa.array(select(rows, records.metrics[name]["where"])))
        a, b = (
            resampling.Values(rows["unit_id"].to_numpy(), "mean", rows[f"success_{arm}"].to_numpy())
            for arm in CONTRASTS[name.partition("/")[0]]
        )
        with warnings.catch_warnings():
            # Welch's test, a part of every contrast, warns about an arm that always succeeds.
            warnings.simplefilter("ignore", RuntimeWarning)
            options = {"resamples": records.resamples, "seed": records.seed}
            p_values.append(resampling.compare(a, b, **options, paired=True).p)
    for name, p, adjusted in zip(family, p_values, resampling.holm(p_values), strict=True):
        records.metrics[name] |= {"p": p, "p_holm": float(adjusted)}
