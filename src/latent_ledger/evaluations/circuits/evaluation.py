"""Circuits of one coder or of several layers: from token set, activations and codes to metrics.

The docstring of ``entry.py`` in this folder describes the algorithm. Names of metrics end in
``_top<K>`` (K latents of every layer) and, for one concept, in ``/<concept>``. A metric without a
concept is over the test examples of all concepts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from latent_ledger.evaluations.circuits.concept import ConceptCircuits, measure_concept
from latent_ledger.evaluations.circuits.tables import CHANCE, write_tables
from latent_ledger.evaluations.probing.evaluation import Task, pooled_features, read_tasks
from latent_ledger.lib.progress import Progress
from latent_ledger.statistics.probes import Features
from latent_ledger.statistics.records import Records
from latent_ledger.statistics.resampling import holm


def produce(
    settings: Mapping[str, Any], tokens: Path, raw: Sequence[Path], codes: Sequence[Path], out: Path
) -> dict[str, Any]:
    """Measure the circuits of every concept; write ``metrics.json`` and tables into `out`.

    `settings`: concepts, top_k (sizes, latents per layer), headline_k (one of them), draws,
    resamples, seed. `tokens`: a token set of layout "examples". `raw`, `codes`: per layer, from the
    first to the last, the activations its coder reads and its codes. Returns the facts. Raises
    :class:`LedgerError` when a layer has too few live latents.
    """
    tasks = read_tasks(Path(tokens), settings["concepts"])
    features, layers = layered_features(Path(tokens), raw, codes)
    return evaluate(tasks, features, layers, settings, Path(out))


def layered_features(
    tokens: Path, raw: Sequence[Path], codes: Sequence[Path]
) -> tuple[dict[str, Features], list[slice]]:
    """Features of all examples, the layers side by side, and each layer's columns of the codes."""
    pooled = [
        pooled_features(tokens, Path(activations), Path(layer_codes))
        for activations, layer_codes in zip(raw, codes, strict=True)
    ]
    ends = np.cumsum([0, *(layer["codes"].shape[1] for layer in pooled)]).tolist()
    features = {
        "raw": np.hstack([layer["raw"] for layer in pooled]),
        "bag_of_tokens": pooled[0]["bag_of_tokens"],
        "codes": sparse.hstack([layer["codes"] for layer in pooled], format="csr"),
    }
    return features, [slice(*pair) for pair in zip(ends, ends[1:], strict=False)]


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
    write_tables(records, results, settings["headline_k"])
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


@dataclass(frozen=True)
class Measurement:
    """One metric: how it follows from a table, and whether each concept has one too."""

    name: str
    statistic: str
    table: str
    where: Mapping[str, int]
    text: str
    columns: Mapping[str, str]
    per_concept: bool = False


def measurements(settings: Mapping[str, Any], layers: int) -> Iterator[Measurement]:
    """Every metric that is recorded, the ceilings first."""

    def mean(
        name: str,
        table: str,
        where: Mapping[str, int],
        column: str,
        text: str,
        per_concept: bool = False,
    ) -> Measurement:
        return Measurement(name, "mean", table, where, text, {"value": column}, per_concept)

    where: dict[str, int]
    table, first = "examples.parquet", {"size": settings["top_k"][0]}
    text = "Test accuracy of the logistic probe on {}"
    yield mean("ceiling", table, first, "ceiling", text.format("all latents"), True)
    yield mean("accuracy_raw", table, first, "raw", text.format("the raw site"))
    for size in settings["top_k"]:
        end, where = f"_top{size}", {"size": size}
        text = "Test accuracy of a fresh logistic probe on the circuit"
        yield mean(f"accuracy{end}", table, where, "correct", text, True)
        text = "AUROC of the circuit's probe, mean over concepts by DeLong's components"
        yield mean(f"auroc{end}", table, where, "auroc", text)
        text = "Test accuracy of random circuits of equal size, mean over the draws"
        yield mean(f"random{end}", table, where, "random", text)
        text = "Accuracy of the circuit minus the mean of the random circuits, paired"
        yield mean(f"gap{end}", table, where, "gap", text, True)
        text = "Test accuracy of the circuit chosen on training and test examples"
        yield mean(f"leaked{end}", table, where, "leaked", text)
        text = "What choosing the circuit on test examples as well adds to its accuracy, paired"
        yield mean(f"inflation{end}", table, where, "inflation", text)
        text = "Test accuracy of a probe on as many token counts, chosen in the same way"
        yield mean(f"tokens{end}", table, where, "tokens", text)
        text = "Accuracy of the circuit minus that on as many token counts, paired"
        yield mean(f"gap_tokens{end}", table, where, "gap_tokens", text)
        text = "Accuracy of the circuit above chance, as a share of that of all latents"
        columns = {"numerator": "above_chance", "denominator": "ceiling_above_chance"}
        yield Measurement(f"faithfulness{end}", "ratio", table, where, text, columns)
        text = "Accuracy of the circuit as a share of that of all latents"
        columns = {"numerator": "correct", "denominator": "ceiling"}
        yield Measurement(f"ceiling_share{end}", "ratio", table, where, text, columns)
    text = "Accuracy of the circuit minus random circuits whose latents fire as often, paired"
    yield mean(f"gap_matched_top{settings['headline_k']}", "matched.parquet", {}, "gap", text)
    for depth in range(1, layers + 1) if layers > 1 else ():
        table, where = "build_up.parquet", {"layers": depth}
        text = f"Test accuracy of the headline circuit's latents of the first {depth} layers"
        yield mean(f"build_up_{depth}", table, where, "correct", text)
        text = f"What layer {depth} adds to the accuracy of those before it, or to chance"
        yield mean(f"gain_{depth}", table, where, "gain", text)


def record_metrics(
    records: Records, results: Sequence[ConceptCircuits], settings: Mapping[str, Any], layers: int
) -> list[str]:
    """Record every measurement; returns the names of those that are undefined.

    A share of the ceiling says nothing when all latents together do no better than a guess.
    """
    undefined = []
    for metric in measurements(settings, layers):
        if metric.statistic == "ratio" and records.metrics["ceiling"]["estimate"] <= CHANCE:
            undefined.append(metric.name)
            continue
        concepts = [result.task.concept for result in results] if metric.per_concept else []
        for concept in (None, *concepts):
            place = "all concepts' test examples" if concept is None else f"{concept}'s examples"
            records.measure(
                metric.name if concept is None else f"{metric.name}/{concept}",
                metric.statistic,
                metric.table,
                unit="example",
                higher_is_better=None if metric.name.startswith("inflation") else True,
                description=f"{metric.text}; {place}.",
                where=metric.where if concept is None else {**metric.where, "concept": concept},
                unit_id="unit_id",
                **metric.columns,
            )
    return undefined


def record_p_values(records: Records, results: Sequence[ConceptCircuits]) -> None:
    """Add the permutation p of every gap, Holm-corrected over the concepts of one size.

    The gaps over all concepts are one family over the sizes, so that no size can be picked after
    the fact: draw r of all concepts together is one draw of the pooled accuracy.
    """
    pooled = {}
    for circuits in zip(*(result.circuits for result in results), strict=True):
        size = circuits[0].size
        hits = [
            int(((circuit.scores > 0) == result.task.test_labels).sum())
            for result, circuit in zip(results, circuits, strict=True)
        ]
        drawn = [circuit.random.sum(axis=1) for circuit in circuits]
        p_values = [permutation_p(*pair) for pair in zip(hits, drawn, strict=True)]
        for result, p, adjusted in zip(results, p_values, holm(p_values), strict=True):
            metric = records.metrics[f"gap_top{size}/{result.task.concept}"]
            metric.update(p=p, p_holm=float(adjusted))
        pooled[size] = permutation_p(sum(hits), np.sum(drawn, axis=0))
    for (size, p), adjusted in zip(pooled.items(), holm([*pooled.values()]), strict=True):
        records.metrics[f"gap_top{size}"].update(p=p, p_holm=float(adjusted))


def permutation_p(observed: int, drawn: np.ndarray) -> float:
    """(1 + #{drawn >= observed}) / (draws + 1): one-sided, never 0, ties against the circuit."""
    return float((1 + (drawn >= observed).sum()) / (len(drawn) + 1))
