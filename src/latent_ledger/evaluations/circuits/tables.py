"""Tables of a circuit evaluation, one function per Parquet file."""

from collections.abc import Iterator, Sequence

import numpy as np

from latent_ledger.evaluations.circuits.concept import Circuit, ConceptCircuits, right
from latent_ledger.statistics.probes import auroc_components
from latent_ledger.statistics.records import Records, stacked

CHANCE = 0.5
"""Accuracy of a guess: half of a concept's examples are positive."""


def write_tables(records: Records, results: Sequence[ConceptCircuits]) -> None:
    """Write every table below the folder of `records`; build_up.parquet for several layers only."""
    circuits = [(result, circuit) for result in results for circuit in result.circuits]
    records.table("examples.parquet", stacked(example_rows(*pair) for pair in circuits))
    matched = (matched_rows(*pair) for pair in circuits if pair[1].matched is not None)
    records.table("matched.parquet", stacked(matched))
    records.table("draws.parquet", stacked(rows for pair in circuits for rows in draw_rows(*pair)))
    records.table("latents.parquet", stacked(map(latent_rows, results)))
    if len(results[0].build_up) > 1:
        rows = (rows for result in results for rows in build_up_rows(result))
        records.table("build_up.parquet", stacked(rows))


def example_rows(result: ConceptCircuits, circuit: Circuit) -> dict[str, np.ndarray]:
    """Rows of ``examples.parquet``: all arms of one circuit side by side on each test example.

    Arms are 1 where their probe labels the example right, `random` is the mean over the draws.
    """
    arms = {
        "correct": circuit.scores,
        "leaked": circuit.leaked,
        "tokens": circuit.tokens,
        "ceiling": result.ceiling,
        "raw": result.raw,
    }
    hits = {name: _hits(result, scores) for name, scores in arms.items()}
    random = circuit.random.mean(axis=0)
    return {
        **_example_columns(result, size=circuit.size),
        "label": result.task.test_labels.astype(np.int8),
        "score": circuit.scores,
        **hits,
        "random": random,
        "auroc": auroc_components(circuit.scores, result.task.test_labels),
        "gap": hits["correct"] - random,
        "inflation": hits["leaked"] - hits["correct"],
        "gap_tokens": hits["correct"] - hits["tokens"],
        "above_chance": hits["correct"] - CHANCE,
        "ceiling_above_chance": hits["ceiling"] - CHANCE,
    }


def matched_rows(result: ConceptCircuits, circuit: Circuit) -> dict[str, np.ndarray]:
    """Rows of ``matched.parquet``: the headline circuit against draws of equal frequency."""
    matched = np.asarray(circuit.matched).mean(axis=0)
    gap = _hits(result, circuit.scores) - matched
    return {**_example_columns(result), "matched": matched, "gap": gap}


def build_up_rows(result: ConceptCircuits) -> Iterator[dict[str, np.ndarray]]:
    """Rows of ``build_up.parquet``: the headline circuit's first 1, 2, ... layers.

    `gain`: over the circuit without the last of them, and of the first layer over chance.
    """
    before = np.full(len(result.task.test), CHANCE)
    for depth, scores in enumerate(result.build_up, 1):
        hits = _hits(result, scores)
        yield {**_example_columns(result, layers=depth), "correct": hits, "gain": hits - before}
        before = hits


def draw_rows(result: ConceptCircuits, circuit: Circuit) -> Iterator[dict[str, np.ndarray]]:
    """Rows of ``draws.parquet``: the accuracy of every random circuit."""
    for null, drawn in (("live", circuit.random), ("matched", circuit.matched)):
        if drawn is not None:
            yield {
                "concept": np.full(len(drawn), result.task.concept, dtype=object),
                "size": np.full(len(drawn), circuit.size),
                "null": np.full(len(drawn), null, dtype=object),
                "draw": np.arange(len(drawn)),
                "accuracy": drawn.mean(axis=1),
            }


def latent_rows(result: ConceptCircuits) -> dict[str, np.ndarray]:
    """Rows of ``latents.parquet``: every layer's ranking, the latents numbered within the layer.

    `layer` counts from 1; `also_leaked`: whether the leaked ranking of equal length has it as well.
    """
    layers, k = result.latents.shape
    return {
        "concept": np.full(layers * k, result.task.concept, dtype=object),
        "layer": np.repeat(np.arange(1, layers + 1), k),
        "rank": np.tile(np.arange(1, k + 1), layers),
        "latent": (result.latents - result.starts[:, None]).ravel(),
        "difference_of_means": result.differences.ravel(),
        "also_leaked": np.isin(result.latents, result.leaked_latents).ravel(),
    }


def _hits(result: ConceptCircuits, scores: np.ndarray) -> np.ndarray:
    return right(result.task, scores).astype(float)


def _example_columns(result: ConceptCircuits, **constants: int) -> dict[str, np.ndarray]:
    """Columns that name the concept and the test example of a row."""
    task, m = result.task, len(result.task.test)
    return {
        "concept": np.full(m, task.concept, dtype=object),
        "example_id": task.test.astype(np.int64),
        "unit_id": np.array([f"{task.concept}/{example}" for example in task.test], dtype=object),
        **{name: np.full(m, value) for name, value in constants.items()},
    }
