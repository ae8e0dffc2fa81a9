"""Probing: concepts read off a coder's latents, raw activations and token counts.

    text -> mean over its tokens -> logistic probe on the training split -> test accuracy, AUROC

Four kinds of features, one vector per example, for each concept separately:

* codes, the `k` latents with the largest absolute difference of class means (k = 1, 2, 5, ...);
* codes, all latents;
* the raw activations that the coder reads, which bound what its codes can hold;
* bag of tokens, the counts of the token ids, which needs no model.

Latents, scaling and penalty are chosen on the training split (see
:mod:`latent_ledger.statistics.probes`); test examples are only ever scored.

Source: SAEBench's sparse probing (arXiv 2503.09532), with examples instead of classes as units.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import load_file
from scipy import sparse
from threadpoolctl import threadpool_limits

from latent_ledger.coders.codes import CodeShards
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.progress import Progress
from latent_ledger.models.shards import ActivationShards
from latent_ledger.statistics.probes import (
    FOLDS,
    Features,
    auroc_components,
    fit_probe,
    select_latents,
)
from latent_ledger.statistics.records import Records, stacked

BASELINES = {"raw": "the raw activations", "bag_of_tokens": "the bag of tokens"}


@dataclass(frozen=True)
class Task:
    """One concept: the examples (rows of the token set) and 0/1 labels of both splits."""

    concept: str
    train: np.ndarray
    test: np.ndarray
    train_labels: np.ndarray
    test_labels: np.ndarray


@dataclass(frozen=True)
class ConceptProbes:
    """The probes of one concept: test scores in log odds and the penalty C of each, by name.

    `latents`: those chosen for the top-k probes, best first; `differences`: of their class means.
    """

    task: Task
    scores: dict[str, np.ndarray]
    penalties: dict[str, float]
    latents: np.ndarray
    differences: np.ndarray


def produce(
    settings: Mapping[str, Any], tokens: Path, raw: Path, codes: Path | None, out: Path
) -> dict[str, Any]:
    """Probe every concept on codes and baselines; write ``metrics.json`` and tables into `out`.

    `settings`: concepts, top_k, resamples, seed. `tokens`: a token set of layout "examples".
    `raw`: activations of the coder's input hook on it. `codes`: the coder's codes of it, or None to
    probe the baselines alone. Tables: ``examples.parquet`` (per test example and probe); with codes
    also ``gaps.parquet`` and ``latents.parquet``. Returns facts: the probes, and per concept the
    numbers of examples and the penalties.
    """
    tasks = read_tasks(tokens, settings["concepts"])
    features = pooled_features(tokens, raw, codes)
    results = []
    # One BLAS thread: these matrices are small, and the bytes must not depend on the core count.
    with threadpool_limits(1), Progress("probe", total=len(tasks), unit="concept") as progress:
        for task in tasks:
            results.append(probe_concept(task, features, settings["top_k"], settings["seed"]))
            progress.update(1, concept=task.concept)
    records = Records(out, resamples=settings["resamples"], seed=settings["seed"])
    examples = {
        (result.task.concept, probe): example_rows(result, probe)
        for result in results
        for probe in result.scores
    }
    records.table("examples.parquet", stacked(examples.values()))
    if codes:
        records.table("gaps.parquet", stacked(gap_rows(examples)))
        records.table("latents.parquet", stacked(map(latent_rows, results)))
    probes = list(results[0].scores)
    for concept in (None, *settings["concepts"]):
        for name, statistic, table, where, text, columns in measurements(probes, concept):
            records.measure(
                f"{name}/{concept}" if concept else name,
                statistic,
                table,
                unit="example",
                higher_is_better=True,
                description=text,
                where=where | {"concept": concept} if concept else where,
                unit_id="unit_id",
                **columns,
            )
    facts = {
        "probes": probes,
        "concepts": {
            result.task.concept: {
                "train": len(result.task.train),
                "test": len(result.task.test),
                "penalties": result.penalties,
            }
            for result in results
        },
    }
    records.write(facts)
    return facts


def read_tasks(tokens: Path, concepts: Sequence[str]) -> list[Task]:
    """The concepts' examples. Raises :class:`LedgerError` when a split lacks a class."""
    table = pq.read_table(tokens / "documents.parquet").to_pydict()
    if not {"concept", "label", "split"} <= set(table):
        raise LedgerError(
            f"{tokens} holds no labelled examples: probing needs a concept token set."
        )
    ids, concept, label, split = (
        np.asarray(table[name]) for name in ("doc_id", "concept", "label", "split")
    )
    tasks = []
    for name in concepts:
        train, test = (np.flatnonzero((concept == name) & (split == s)) for s in ("train", "test"))
        for side, members in (("train", train), ("test", test)):
            negative, positive = np.bincount(label[members], minlength=2)
            if min(negative, positive) < FOLDS:
                raise LedgerError(
                    f"Concept {name!r} has {positive} positive and {negative} negative {side} "
                    f"examples; probing needs at least {FOLDS} of each: choose another concept or "
                    "more examples."
                )
        tasks.append(Task(name, ids[train], ids[test], label[train], label[test]))
    return tasks


def pooled_features(tokens: Path, raw: Path, codes: Path | None) -> dict[str, Features]:
    """Per kind of feature, one row per example: means over its non-special tokens, or counts.

    Keys: raw [n, d] dense; bag_of_tokens [n, vocabulary] and codes [n, width] sparse.
    """
    arrays = load_file(tokens / "tokens.safetensors")
    ids, documents, lengths = (arrays[name] for name in ("input_ids", "doc_ids", "lengths"))
    # The rows of activations and codes: every position that is not padding, in token order.
    contexts, positions = np.nonzero(np.arange(ids.shape[1]) < lengths[:, None])
    rows = np.flatnonzero(documents[contexts, positions] >= 0)
    examples, counted = contexts[rows], ids[contexts[rows], positions[rows]]
    weights = 1.0 / np.bincount(examples, minlength=len(ids))[examples]
    pool = sparse.csc_matrix((weights, (examples, rows)), shape=(len(ids), len(contexts)))
    shape = (len(ids), int(ids.max()) + 1)
    features: dict[str, Features] = {
        "raw": _pooled(pool, activation_rows(ActivationShards(raw)), raw),
        "bag_of_tokens": sparse.csr_matrix((np.ones(len(rows)), (examples, counted)), shape=shape),
    }
    if codes:
        features["codes"] = sparse.csr_matrix(_pooled(pool, CodeShards(codes).shards(), codes))
    return features


def activation_rows(shards: ActivationShards) -> Iterator[np.ndarray]:
    """The activations of every shard in float64, [shard rows, d]."""
    for shard in shards.shards():
        yield shard["activations"].float().numpy().astype(np.float64)


def probe_concept(
    task: Task, features: Mapping[str, Features], top_k: Sequence[int], seed: int
) -> ConceptProbes:
    """Fit every probe of one concept, the top-k ones first, on its training examples."""
    scores: dict[str, np.ndarray] = {}
    penalties: dict[str, float] = {}

    def fit(name: str, train: Features, test: Features, *, tune: bool = True) -> None:
        dense = [rows if isinstance(rows, np.ndarray) else rows.toarray() for rows in (train, test)]
        scores[name], penalties[name] = fit_probe(
            dense[0], task.train_labels, dense[1], tune=tune, seed=seed
        )

    latents, differences = np.empty(0, np.int64), np.empty(0)
    if "codes" in features:
        train, test = (features["codes"][rows] for rows in (task.train, task.test))
        latents, differences = select_latents(train, task.train_labels)
        for k in top_k:
            fit(f"top{k}", train[:, latents[:k]], test[:, latents[:k]], tune=False)
        fit("all", train, test)
    for name in BASELINES:
        fit(name, features[name][task.train], features[name][task.test])
    kept = slice(max(top_k))
    return ConceptProbes(task, scores, penalties, latents[kept], differences[kept])


def example_rows(result: ConceptProbes, probe: str) -> dict[str, np.ndarray]:
    """Rows of ``examples.parquet`` for one probe of one concept: test examples only."""
    task, scores = result.task, result.scores[probe]
    predicted = (scores > 0).astype(np.int8)
    return {
        "concept": np.full(len(scores), task.concept, dtype=object),
        "example_id": task.test.astype(np.int64),
        "unit_id": np.array([f"{task.concept}/{example}" for example in task.test], dtype=object),
        "probe": np.full(len(scores), probe, dtype=object),
        "score": scores,
        "predicted": predicted,
        "label": task.test_labels.astype(np.int8),
        "correct": predicted == task.test_labels,
        "auroc": auroc_components(scores, task.test_labels),
    }


def gap_rows(
    examples: Mapping[tuple[str, str], Mapping[str, np.ndarray]],
) -> Iterator[dict[str, np.ndarray]]:
    """Rows of ``gaps.parquet``: per test example, the probe on all codes minus a baseline's.

    The bootstrap of the mean of such differences *is* the paired bootstrap of the two probes.
    """
    for (concept, probe), baseline in examples.items():
        if probe in BASELINES:
            codes = examples[concept, "all"]
            yield {
                "concept": codes["concept"],
                "unit_id": codes["unit_id"],
                "baseline": baseline["probe"],
                "accuracy": codes["correct"].astype(float) - baseline["correct"],
                "auroc": codes["auroc"] - baseline["auroc"],
            }


def latent_rows(result: ConceptProbes) -> dict[str, np.ndarray]:
    """Rows of ``latents.parquet``: the latents chosen for a concept, best first."""
    count = len(result.latents)
    return {
        "concept": np.full(count, result.task.concept, dtype=object),
        "rank": np.arange(1, count + 1),
        "latent": result.latents,
        "difference_of_means": result.differences,
    }


def measurements(
    probes: Sequence[str], concept: str | None
) -> Iterator[tuple[str, str, str, dict[str, str], str, dict[str, str]]]:
    """The metrics of one concept, or of all concepts together.

    Yields (metric, statistic, table, where, description, columns).
    """
    place = f"test examples of {concept}" if concept else "all concepts' test examples"
    averaged = "" if concept else "; mean over concepts, by DeLong's components"
    roc = {"score": "score", "label": "label"} if concept else {"value": "auroc"}
    table = "examples.parquet"
    for probe in probes:
        latents = "all codes" if probe == "all" else f"the {probe[3:]} latents chosen in training"
        source, where = BASELINES.get(probe, latents), {"probe": probe}
        text = f"Share of {place} that a logistic probe on {source} labels right."
        yield f"accuracy_{probe}", "mean", table, where, text, {"value": "correct"}
        text = f"AUROC of a logistic probe on {source}, {place}{averaged}."
        yield f"auroc_{probe}", "auroc" if concept else "mean", table, where, text, roc
    for probe, source in BASELINES.items() if "all" in probes else ():
        for column, end in (("accuracy", "all"), ("auroc", "auroc")):
            text = f"{column} of the probe on all codes minus that on {source}, {place}."
            name = f"gap_{probe.partition('_')[0]}_{end}"
            yield name, "mean", "gaps.parquet", {"baseline": probe}, text, {"value": column}


def _pooled(pool: sparse.csc_matrix, shards: Iterable[Features], folder: Path) -> Features:
    """``pool @ rows`` over all shards, which hold the rows in token order."""
    total, start = 0, 0
    for shard in shards:
        total = total + pool[:, start : start + shard.shape[0]] @ shard
        start += shard.shape[0]
    if start != pool.shape[1]:
        raise LedgerError(
            f"{folder} has {start} rows, the token set {pool.shape[1]}: they belong to different "
            "texts; make the activations and codes again."
        )
    return total
