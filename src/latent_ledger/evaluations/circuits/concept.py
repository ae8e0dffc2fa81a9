"""Circuits of one concept: every probe, its random rivals and its baselines.

All small probes (circuit, leaked circuit, random circuits, token counts) are the same fit, L2 with
C = 1 on standardised features, so that they differ in their columns alone. The probes with many
weights (all latents, raw site) choose their penalty by cross-validation on the training split.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latent_ledger.evaluations.circuits.latents import (
    attribute,
    draw,
    draw_matched,
    firing,
    live_latents,
)
from latent_ledger.evaluations.circuits.newton import probe_sets, standardise
from latent_ledger.evaluations.probing.evaluation import Task
from latent_ledger.statistics.probes import Features, fit_probe, select_latents


@dataclass(frozen=True)
class Circuit:
    """One circuit size of one concept. Scores are log odds of the test examples, [m].

    `random`, `matched` [draws, m]: whether each random circuit labels each test example right;
    `matched` (equal firing frequency) is made for the headline size alone, and None elsewhere.
    """

    size: int
    scores: np.ndarray
    leaked: np.ndarray
    tokens: np.ndarray
    random: np.ndarray
    matched: np.ndarray | None


@dataclass(frozen=True)
class ConceptCircuits:
    """The circuits and baselines of one concept.

    `latents`, `leaked_latents` [layers, largest size] are the two rankings, in columns of all
    layers (`starts` [layers]: each layer's first), and `differences` of class means go with the
    first of them. `live`: live latents per layer. `ceiling`, `raw`: scores on all latents and on
    the raw site. `build_up` [layers, m]: scores of the headline circuit's first 1, 2, ... layers.
    """

    task: Task
    circuits: list[Circuit]
    latents: np.ndarray
    differences: np.ndarray
    leaked_latents: np.ndarray
    starts: np.ndarray
    live: list[int]
    ceiling: np.ndarray
    raw: np.ndarray
    penalties: dict[str, float]
    build_up: np.ndarray


def measure_concept(
    task: Task,
    features: Mapping[str, Features],
    layers: Sequence[slice],
    settings: Mapping[str, Any],
) -> ConceptCircuits:
    """Choose, draw and probe every circuit of one concept.

    `features`: codes [n, columns of all layers], raw, bag_of_tokens, a row per example; `layers`:
    each layer's columns of the codes. `settings`: top_k, headline_k, draws, seed.
    """
    largest, headline, draws = max(settings["top_k"]), settings["headline_k"], settings["draws"]
    codes, bag, labels = features["codes"], features["bag_of_tokens"], task.train_labels
    fired = firing(codes[task.train])
    live = live_latents(fired, layers, largest, task.concept)
    latents, differences = attribute(codes[task.train], labels, layers, largest)
    every, all_labels = (
        np.concatenate(parts) for parts in ([task.train, task.test], [labels, task.test_labels])
    )
    leaked, _ = attribute(codes[every], all_labels, layers, largest)
    token_ids = select_latents(bag[task.train], labels)[0][: largest * len(layers)]

    dense = {"ceiling": _dense(codes, task), "raw": _dense(features["raw"], task)}
    tuned = {
        name: fit_probe(train, labels, test, tune=True, seed=settings["seed"])
        for name, (train, test) in dense.items()
    }
    train, test = standardise(*dense["ceiling"])
    train_counts, test_counts = standardise(*_dense(bag[:, token_ids], task))

    def circuit(size: int) -> Circuit:
        # One stream per concept, so that it does not depend on which others are measured.
        rng = np.random.default_rng([settings["seed"], zlib.crc32(task.concept.encode()), size])
        best = latents[:, :size]
        sets = [best, leaked[:, :size], *draw(live, size, draws, rng)]
        if size == headline:
            sets += [*draw_matched(best, live, fired, draws, rng)]
        scores = probe_sets(train, labels, test, np.stack(sets).reshape(len(sets), -1))
        as_many = np.arange(len(token_ids))[None, : best.size]
        drawn = right(task, scores[2:])
        return Circuit(
            size=size,
            scores=scores[0],
            leaked=scores[1],
            tokens=probe_sets(train_counts, labels, test_counts, as_many)[0],
            random=drawn[:draws],
            matched=drawn[draws:] if size == headline else None,
        )

    depths = (latents[:depth, :headline].reshape(1, -1) for depth in range(1, len(layers) + 1))
    return ConceptCircuits(
        task=task,
        circuits=[circuit(size) for size in settings["top_k"]],
        latents=latents,
        differences=differences,
        leaked_latents=leaked,
        starts=np.array([layer.start for layer in layers]),
        live=[len(columns) for columns in live],
        ceiling=tuned["ceiling"][0],
        raw=tuned["raw"][0],
        penalties={name: penalty for name, (_, penalty) in tuned.items()},
        build_up=np.concatenate([probe_sets(train, labels, test, columns) for columns in depths]),
    )


def right(task: Task, scores: np.ndarray) -> np.ndarray:
    """Whether log odds [..., m] label the test examples right."""
    return (scores > 0) == task.test_labels


def _dense(features: Features, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the training and of the test examples as dense arrays."""
    if isinstance(features, np.ndarray):
        return features[task.train], features[task.test]
    return features[task.train].toarray(), features[task.test].toarray()
