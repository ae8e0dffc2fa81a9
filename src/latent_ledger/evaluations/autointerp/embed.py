"""Example embedding: the distance of held-out examples to a latent's examples and to others.

The score is that of delphi's ``ExampleEmbeddingScorer``, without explanation or language model. In
each trial a query that fires and one that does not are compared with examples of the latent (same
quantile of activation) and with ten negatives, all with their marks. A query counts as firing if it
is nearer, in mean cosine similarity, to the former; the difference is the score behind the AUROC.
Negatives have delphi's marks: an embedding does not see positions.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from latent_ledger.evaluations.autointerp.delphi_io import ExampleEmbeddingScorer
from latent_ledger.evaluations.autointerp.protocol import COMPARED, EMBEDDING, SCORED
from latent_ledger.evaluations.autointerp.records import Scorable, read
from latent_ledger.evaluations.autointerp.score import Answer, Scored, latent_seed, write
from latent_ledger.lib.progress import Progress
from latent_ledger.scorers.embedding import Encoder

NOT_DRAWN = "not drawn for embedding"
"""Status of the scorable latents that a smaller sample leaves out: encoding is slow on a CPU."""


class CachingEncoder:
    """An encoder that encodes every text once: trials share most of their texts."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.similarity = encoder.similarity
        self._vectors: dict[str, np.ndarray] = {}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors [n, d] of `texts`, in their order."""
        if new := list(dict.fromkeys(text for text in texts if text not in self._vectors)):
            self._vectors.update(zip(new, self.encoder.encode(new), strict=True))
        return np.stack([self._vectors[text] for text in texts])


def produce(
    settings: Mapping[str, Any], examples: Path, out: Path, encoder: Encoder | None = None
) -> dict[str, Any]:
    """Write the tables of :func:`latent_ledger.evaluations.autointerp.score.write` into `out`.

    `settings`: folder (of :class:`~latent_ledger.scorers.embedding.Encoder`), latents (how many of
    the scorable ones, drawn at random; None: all), trials, seed. `encoder`: replaces that of
    `folder`. Returns facts.
    """
    encoder = encoder or Encoder(settings["folder"])
    latents = read(examples)
    rng = np.random.default_rng(np.random.SeedSequence(settings["seed"]))
    drawn = rng.permutation(len(latents))[: settings["latents"]]
    scored = [Scored(latent.latent, EMBEDDING, NOT_DRAWN) for latent in latents]
    with Progress("embed", total=len(drawn), unit="latent") as progress:
        for number in sorted(drawn):
            scored[number] = compare(latents[number], encoder, settings["trials"], settings["seed"])
            progress.update(1)
    write(Path(out), scored)
    return {"encoder": encoder.name, "latents": len(drawn), "trials": settings["trials"]}


def compare(latent: Scorable, encoder: Encoder, trials: int, seed: int) -> Scored:
    """`trials` pairs of queries of one latent; answers are numbered by trial, firing one first."""
    # delphi sets aside as many negatives to compare with as there are train examples, and takes the
    # queries from the rest: with as many negatives as train examples there would be none.
    record = replace(latent.record, train=latent.record.train[:COMPARED])
    scorer = ExampleEmbeddingScorer(
        CachingEncoder(encoder), number_batches=trials, seed=latent_seed(seed, latent.latent)
    )
    results = asyncio.run(scorer(record)).score
    answers = [
        Answer(trial, label, int(delta > 0), float(delta))
        for trial, result in enumerate(results)
        for label, delta in ((1, result.delta_plus), (0, result.delta_minus))
    ]
    return Scored(latent.latent, EMBEDDING, SCORED, len(results), answers=answers)
