"""Circuits of one coder or of several layers: from token set, activations and codes to metrics.

Names of metrics end in ``_top<K>`` (K latents of every layer) and, for one concept, in
``/<concept>``. A metric without a concept is over the test examples of all concepts. The algorithm
stands in :mod:`latent_ledger.evaluations.circuits.entry`.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from latent_ledger.evaluations.circuits.concept import ConceptCircuits, measure_concept, right
from latent_ledger.evaluations.circuits.tables import CHANCE, write_tables
from latent_ledger.evaluations.probing.evaluation import Task, pooled_features, read_tasks
from latent_ledger.lib.progress import Progress
from latent_ledger.statistics.probes import Features
from latent_ledger.statistics.records import Records
from latent_ledger.statistics.resampling import holm

SIZED = {
    "accuracy": "Test accuracy of a fresh logistic probe on the circuit",
    "auroc": "AUROC of the circuit's probe, mean over concepts by DeLong's components",
    "random": "Test accuracy of random circuits of equal size, mean over the draws",
    "gap": "Accuracy of the circuit minus the mean of the random circuits, paired",
    "leaked": "Test accuracy of the circuit chosen on training and test examples",
    "inflation": "What choosing the circuit on test examples as well adds to its accuracy, paired",
    "tokens": "Test accuracy of a probe on as many token counts, chosen in the same way",
    "gap_tokens": "Accuracy of the circuit minus that on as many token counts, paired",
    "faithfulness": "Accuracy of the circuit above chance, as a share of that of all latents",
    "ceiling_share": "Accuracy of the circuit as a share of that of all latents",
}
"""Metric that every size has -> its description."""

COLUMNS = {
    "accuracy": {"value": "correct"},
    "faithfulness": {"numerator": "above_chance", "denominator": "ceiling_above_chance"},
    "ceiling_share": {"numerator": "correct", "denominator": "ceiling"},
}
"""Columns behind such a metric, where it is not the mean of the column of its name."""

PER_CONCEPT = ("ceiling", "accuracy", "gap")
"""Metrics that each concept has too."""


def produce(
    settings: Mapping[str, Any], tokens: Path, raw: Sequence[Path], codes: Sequence[Path], out: Path
) -> dict[str, Any]:
    """Measure the circuits of every concept; write ``metrics.json`` and tables into `out`.

    `settings`: concepts, top_k (sizes, latents per layer), headline_k (one of them), draws,
    resamples, seed. `tokens`: a token set of layout "examples". `raw`, `codes`: per layer, from the
    first to the last, the activations its coder reads and its codes. Returns the facts. Raises
    :class:`LedgerError` when a layer has too few live latents.
    """
    tasks = read_tasks(tokens, settings["concepts"])
    features, layers = layered_features(tokens, raw, codes)
    return evaluate(tasks, features, layers, settings, out)


def layered_features(
    tokens: Path, raw: Sequence[Path], codes: Sequence[Path]
) -> tuple[dict[str, Features], list[slice]]:
    """Features of all examples, the layers side by side, and each layer's columns of the codes."""
    pooled = [pooled_features(tokens, *folders) for folders in zip(raw, codes, strict=True)]
    ends = np.cumsum([0, *(layer["codes"].shape[1] for layer in pooled)]).tolist()
    features = {
        "raw": np.hstack([layer["raw"] for layer in pooled]),
        "bag_of_tokens": pooled[0]["bag_of_tokens"],
        "codes": sparse.hstack([layer["codes"] for layer in pooled], format="csr"),
    }
    return features, [slice(*pair) for pair in pairwise(ends)]


def evaluate(
    tasks: Sequence[Task],
    features: Mapping[str, Features],
    layers: Sequence[slice],
    settings: Mapping[str, Any],
    out: Path,
) -> dict[str, Any]:
    """:func:`produce` after reading: `features` has a row per example, `layers` cut its codes."""
    results = []
    # One BLAS thread: these matrices are small, and the bytes must not depend on the core count.
    with threadpool_limits(1), Progress("circuits", total=len(tasks), unit="concept") as progress:
        for task in tasks:
            results.append(measure_concept(task, features, layers, settings))
            progress.update(1, concept=task.concept)
    records = Records(out, resamples=settings["resamples"], seed=settings["seed"])
    write_tables(records, results)
    undefined = record_metrics(records, results, settings, len(layers))
    record_p_values(records, results)
    facts = {
        "sizes": list(settings["top_k"]),
        "headline": settings["headline_k"],
        "layers": len(layers),
        "draws": settings["draws"],
        "undefined": undefined,
        "concepts": {
            result.task.concept: {
                "train": len(result.task.train),
                "test": len(result.task.test),
                "live": result.live,
                "penalties": result.penalties,
            }
            for result in results
        },
    }
    records.write(facts)
    return facts


def record_metrics(
    records: Records, results: Sequence[ConceptCircuits], settings: Mapping[str, Any], layers: int
) -> list[str]:
    """Record every metric, the ceilings first; returns the names of those that are undefined.

    A share of the ceiling says nothing when all latents together do no better than a guess.
    """
    undefined = []

    def record(name: str, table: str, where: Mapping[str, int], text: str, **columns: str) -> None:
        concepts = [result.task.concept for result in results]
        for concept in (None, *(concepts if name.partition("_top")[0] in PER_CONCEPT else ())):
            place = "all concepts' test examples" if concept is None else f"{concept}'s examples"
            records.measure(
                name if concept is None else f"{name}/{concept}",
                "mean" if "value" in columns else "ratio",
                table,
                unit="example",
                higher_is_better=None if name.startswith("inflation") else True,
                description=f"{text}; {place}.",
                where=where if concept is None else {**where, "concept": concept},
                unit_id="unit_id",
                **columns,
            )

    table, first = "examples.parquet", {"size": settings["top_k"][0]}
    text = "Test accuracy of the logistic probe on {}"
    record("ceiling", table, first, text.format("all latents"), value="ceiling")
    record("accuracy_raw", table, first, text.format("the raw site"), value="raw")
    for size in settings["top_k"]:
        for name, text in SIZED.items():
            columns = COLUMNS.get(name, {"value": name})
            if "denominator" in columns and records.metrics["ceiling"]["estimate"] <= CHANCE:
                undefined.append(f"{name}_top{size}")
            else:
                record(f"{name}_top{size}", table, {"size": size}, text, **columns)
    text = "Accuracy of the circuit minus random circuits whose latents fire as often, paired"
    record(f"gap_matched_top{settings['headline_k']}", "matched.parquet", {}, text, value="gap")
    for depth in range(1, layers + 1) if layers > 1 else ():
        table, where = "build_up.parquet", {"layers": depth}
        text = f"Test accuracy of the headline circuit's latents of the first {depth} layers"
        record(f"build_up_{depth}", table, where, text, value="correct")
        text = f"What layer {depth} adds to the accuracy of those before it, or to chance"
        record(f"gain_{depth}", table, where, text, value="gain")
    return undefined


def record_p_values(records: Records, results: Sequence[ConceptCircuits]) -> None:
    """Add the permutation p of every gap, Holm-corrected over the concepts of one size.

    The gaps over all concepts are one family over the sizes: no size can be picked after the fact.
    Draw r of all concepts together is one draw of the pooled accuracy.
    """
    pooled = {}
    for circuits in zip(*(result.circuits for result in results), strict=True):
        gap = f"gap_top{circuits[0].size}"
        pairs = list(zip(results, circuits, strict=True))
        names = [f"{gap}/{result.task.concept}" for result in results]
        hits = [int(right(result.task, circuit.scores).sum()) for result, circuit in pairs]
        drawn = [circuit.random.sum(axis=1) for circuit in circuits]
        _add_p(records, dict(zip(names, map(permutation_p, hits, drawn), strict=True)))
        pooled[gap] = permutation_p(sum(hits), np.sum(drawn, axis=0))
    _add_p(records, pooled)


def _add_p(records: Records, family: Mapping[str, float]) -> None:
    for (name, p), adjusted in zip(family.items(), holm([*family.values()]), strict=True):
        records.metrics[name] |= {"p": p, "p_holm": float(adjusted)}


def permutation_p(observed: int, drawn: np.ndarray) -> float:
    """(1 + #{drawn >= observed}) / (draws + 1): one-sided, never 0, ties against the circuit."""
    return float((1 + (drawn >= observed).sum()) / (len(drawn) + 1))
