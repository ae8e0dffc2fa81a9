"""Labelled examples with random sparse codes, into which a test plants a truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from latent_ledger.evaluations.circuits.evaluation import evaluate
from latent_ledger.evaluations.probing.evaluation import Task
from latent_ledger.lib.files import read_json

SETTINGS = {"top_k": [5, 10], "headline_k": 5, "draws": 60, "resamples": 300, "seed": 0}


class Planted:
    """`concepts` concepts of `train` + `test` examples; `codes` [n, width] fire with p = 0.3."""

    def __init__(
        self,
        concepts: tuple[str, ...] = ("actor", "singer"),
        *,
        train: int = 200,
        test: int = 150,
        width: int = 200,
        seed: int = 0,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        size = train + test
        self.n = len(concepts) * size
        self.labels = np.arange(self.n) % 2
        self.layers = [slice(0, width)]
        self.tasks = []
        for number, concept in enumerate(concepts):
            rows = np.arange(number * size, (number + 1) * size)
            splits = rows[:train], rows[train:]
            self.tasks.append(Task(concept, *splits, *(self.labels[split] for split in splits)))
        self.is_test = np.concatenate([np.arange(size) >= train for _ in concepts])
        self.codes = self.rng.random((self.n, width)) * (self.rng.random((self.n, width)) < 0.3)
        self.raw = self.rng.normal(size=(self.n, 4))
        self.bag = self.rng.poisson(0.3, (self.n, 40)).astype(float)

    def plant(self, latents, *, rate: float, quiet: float) -> None:
        """Let `latents` fire at `rate` on positive examples and at `quiet` on negative ones."""
        latents = np.asarray(latents)
        chance = np.where(self.labels == 1, rate, quiet)[:, None]
        fires = self.rng.random((self.n, len(latents))) < chance
        self.codes[:, latents] = fires * self.rng.uniform(0.5, 1, fires.shape)

    def run(self, out: Path, **settings) -> dict[str, dict]:
        """Measure the circuits into `out`: metrics by name."""
        out.mkdir(parents=True, exist_ok=True)
        features = {
            "codes": csr_matrix(self.codes),
            "raw": self.raw,
            "bag_of_tokens": csr_matrix(self.bag),
        }
        evaluate(self.tasks, features, self.layers, SETTINGS | settings, out)
        return metrics_of(out)


def metrics_of(out: Path) -> dict[str, dict]:
    return {metric["name"]: metric for metric in read_json(out / "metrics.json")["metrics"]}
