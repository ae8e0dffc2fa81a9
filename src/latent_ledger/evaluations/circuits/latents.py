"""Latents of a circuit by attribution, and random latents of its null.

A circuit of size K is a matrix of columns [layers, K], the top K of every layer, best first.
Columns count over all layers. Random circuits have the same shape, and differ in the choice alone.
"""

from collections.abc import Sequence

import numpy as np

from latent_ledger.lib.errors import LedgerError
from latent_ledger.statistics.probes import Features, select_latents

STRATA = 10
"""Strata of equal size, by firing frequency, of the matched draws."""


def attribute(
    codes: Features, labels: np.ndarray, layers: Sequence[slice], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The `k` latents of every layer with the largest |difference of class means|, best first.

    Columns [layers, k] and their signed differences [layers, k]. It sees every example of `codes`
    [n, all columns]: give it training examples only, or the circuit is leaked.
    """
    columns, differences = [], []
    for layer in layers:
        order, difference = select_latents(codes[:, layer], labels)
        columns.append(layer.start + order[:k])
        differences.append(difference[:k])
    return np.stack(columns), np.stack(differences)


def firing(codes: Features) -> np.ndarray:
    """Examples in which each latent fires at all, [columns]."""
    return np.asarray((codes > 0).sum(axis=0)).ravel()


def live_latents(
    fired: np.ndarray, layers: Sequence[slice], k: int, concept: str
) -> list[np.ndarray]:
    """Per layer the columns that fire on some example; `fired` as :func:`firing` counts them.

    Raises :class:`LedgerError` when a layer has fewer than `k`, too few for a random circuit.
    """
    live = [layer.start + np.flatnonzero(fired[layer]) for layer in layers]
    for number, (layer, columns) in enumerate(zip(layers, live, strict=True), 1):
        if len(columns) < k:
            place = f" of layer {number} of {len(layers)}" if len(layers) > 1 else ""
            raise LedgerError(
                f"Only {len(columns)} of the {layer.stop - layer.start} latents{place} fire on the "
                f"training examples of {concept!r}, too few for a circuit of {k}: choose a smaller "
                "top_k, or leave this coder out of evaluations.circuits."
            )
    return live


def draw(live: Sequence[np.ndarray], k: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Random circuits: `k` live latents of every layer, all equally likely -> [draws, layers, k].

    A draw may hit latents of the circuit itself, as a permutation null must.
    """
    return np.stack([_without_replacement(columns, k, draws, rng) for columns in live], axis=1)


def draw_matched(
    circuit: np.ndarray,
    live: Sequence[np.ndarray],
    fired: np.ndarray,
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Random circuits whose latents fire about as often as the circuit's -> [draws, layers, k].

    Per layer, live latents are cut into :data:`STRATA` strata by the number of examples in which
    they fire, and every stratum gives as many as the circuit [layers, k] has in it.
    """
    drawn = []
    for selected, columns in zip(circuit, live, strict=True):
        by_frequency = columns[np.argsort(fired[columns], kind="stable")]
        samples = [
            _without_replacement(stratum, int(np.isin(stratum, selected).sum()), draws, rng)
            for stratum in np.array_split(by_frequency, STRATA)
        ]
        drawn.append(np.hstack(samples))
    return np.stack(drawn, axis=1)


def _without_replacement(
    columns: np.ndarray, k: int, draws: int, rng: np.random.Generator
) -> np.ndarray:
    return rng.permuted(np.tile(columns, (draws, 1)), axis=1)[:, :k]
