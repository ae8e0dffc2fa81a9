"""The tables of a circuit evaluation: a function per Parquet file, from one measured concept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from latent_ledger.evaluations.circuits.concept import Circuit, Measured
from latent_ledger.statistics.probes import auroc_components
from latent_ledger.statistics.records import Records

CHANCE = 0.5
"""Accuracy of a guess: half of a concept's examples are positive."""


def write_tables(records: Records, found: Sequence[Measured], headline: int) -> None:
    """Write every table below the folder of `records`; build_up.parquet for several layers only."""
    circuits = [(one, circuit) for one in found for circuit in one.circuits]
    main = [pair for pair in circuits if pair[1].size == headline]
    records.table("examples.parquet", _stacked(example_rows(*pair) for pair in circuits))
    records.table("matched.parquet", _stacked(matched_rows(*pair) for pair in main))
    records.table("draws.parquet", _stacked(rows for pair in circuits for rows in draw_rows(*pair)))
    records.table("latents.parquet", _stacked(map(latent_rows, found)))
    if len(found[0].build_up) > 1:
        rows = (rows for one in found for rows in build_up_rows(one))
        records.table("build_up.parquet", _stacked(rows))


def example_rows(one: Measured, circuit: Circuit) -> dict[str, np.ndarray]:
    """Rows of ``examples.parquet``: all arms of one circuit side by side on each test example.

    Arms are 1 where their probe labels the example right, `random` is the mean over the draws.
    """
    labels = one.task.test_labels
    arms = {
        "correct": circuit.scores,
        "leaked": circuit.leaked,
        "tokens": circuit.tokens,
        "ceiling": one.ceiling,
        "raw": one.raw,
    }
    right = {name: _right(scores, labels) for name, scores in arms.items()}
    random = circuit.random.mean(axis=0)
    return {
        **_whose(one, size=circuit.size),
        "label": labels.astype(np.int8),
        "score": circuit.scores,
        **right,
        "random": random,
        "auroc": auroc_components(circuit.scores, labels),
        "gap": right["correct"] - random,
        "inflation": right["leaked"] - right["correct"],
        "gap_tokens": right["correct"] - right["tokens"],
        "above_chance": right["correct"] - CHANCE,
        "ceiling_above_chance": right["ceiling"] - CHANCE,
    }


def matched_rows(one: Measured, circuit: Circuit) -> dict[str, np.ndarray]:
    """Rows of ``matched.parquet``: the headline circuit against draws of equal frequency."""
    matched = circuit.matched.mean(axis=0)
    gap = _right(circuit.scores, one.task.test_labels) - matched
    return {**_whose(one), "matched": matched, "gap": gap}


def build_up_rows(one: Measured) -> Iterator[dict[str, np.ndarray]]:
    """Rows of ``build_up.parquet``: the headline circuit's first 1, 2, ... layers.

    `gain`: over the circuit without the last of them, and of the first layer over chance.
    """
    before = np.full(len(one.task.test), CHANCE)
    for depth, scores in enumerate(one.build_up, 1):
        right = _right(scores, one.task.test_labels)
        yield {**_whose(one, layers=depth), "correct": right, "gain": right - before}
        before = right


def draw_rows(one: Measured, circuit: Circuit) -> Iterator[dict[str, np.ndarray]]:
    """Rows of ``draws.parquet``: the accuracy of every random circuit."""
    for null, right in (("live", circuit.random), ("matched", circuit.matched)):
        if right is not None:
            yield {
                "concept": np.full(len(right), one.task.concept, dtype=object),
                "size": np.full(len(right), circuit.size),
                "null": np.full(len(right), null, dtype=object),
                "draw": np.arange(len(right)),
                "accuracy": right.mean(axis=1),
            }


def latent_rows(one: Measured) -> dict[str, np.ndarray]:
    """Rows of ``latents.parquet``: every layer's ranking, the latents numbered within the layer.

    `layer` counts from 1; `also_leaked`: whether the leaked ranking of equal length has it as well.
    """
    layers, k = one.latents.shape
    return {
        "concept": np.full(layers * k, one.task.concept, dtype=object),
        "layer": np.repeat(np.arange(1, layers + 1), k),
        "rank": np.tile(np.arange(1, k + 1), layers),
        "latent": (one.latents - one.starts[:, None]).ravel(),
        "difference_of_means": one.differences.ravel(),
        "also_leaked": np.isin(one.latents, one.leaked_latents).ravel(),
    }


def _right(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return ((scores > 0) == labels).astype(float)


def _whose(one: Measured, **constants: int) -> dict[str, np.ndarray]:
    """The columns that say which test example of which concept a row is about."""
    task, m = one.task, len(one.task.test)
    return {
        "concept": np.full(m, task.concept, dtype=object),
        "example_id": task.test.astype(np.int64),
        "unit_id": np.array([f"{task.concept}/{example}" for example in task.test], dtype=object),
        **{name: np.full(m, value) for name, value in constants.items()},
    }


def _stacked(parts: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    parts = list(parts)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
