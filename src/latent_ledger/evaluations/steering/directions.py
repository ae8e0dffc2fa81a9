"""Unit vectors to steer along, from the training examples of a concept.

    latent   decoder direction of the latent whose mean code differs most between the classes
    dom      difference of class means of the raw activations at the coder's output hook
    random   a direction drawn uniformly, another one for every generation

A coefficient of 1 adds one root-mean-square norm of the hook point's activations, so that coders
are steered equally hard for where they write.

Source: difference of means as in Marks and Tegmark (arXiv 2310.06824); AxBench (arXiv 2501.17148)
for its comparison with SAE latents.
"""

import numpy as np
import torch

from latent_ledger.coders.sparse_coder import SparseCoder
from latent_ledger.lib.errors import LedgerError
from latent_ledger.statistics.probes import Features, select_latents


def best_latent(codes: Features, labels: np.ndarray) -> tuple[int, float]:
    """The latent whose mean code rises most on the concept, and its difference of class means.

    `codes` [n, width] and 0/1 `labels` of training examples. A latent that falls silent on the
    concept would steer away from it. Raises :class:`LedgerError` if none rises.
    """
    latents, differences = select_latents(codes, labels)
    positive = np.flatnonzero(differences > 0)
    if not len(positive):
        raise LedgerError(
            "No latent is more active on the concept than on the other examples: the coder has "
            "nothing to steer with."
        )
    return int(latents[positive[0]]), float(differences[positive[0]])


def decoder_direction(coder: SparseCoder, latent: int) -> np.ndarray:
    """Unit vector [d] that one more unit of `latent` adds at the coder's output hook.

    The difference of the coder's outputs with and without the latent, which holds for any format.
    """
    x = torch.zeros(2, coder.d_in)
    written = coder.decode(
        torch.tensor([0, 1, 1]), torch.tensor([latent], dtype=torch.int32), torch.ones(1), x
    )
    return unit((written[0] - written[1]).double().numpy(), f"the decoder row of latent {latent}")


def difference_of_means(raw: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Unit vector [d] from the mean of the negative to that of the positive rows of `raw`."""
    difference = raw[labels == 1].mean(axis=0) - raw[labels == 0].mean(axis=0)
    return unit(difference, "the difference of means")


def random_directions(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """Unit vectors [n, d], uniform on the sphere."""
    drawn = rng.standard_normal((n, d))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def unit(vector: np.ndarray, name: str) -> np.ndarray:
    """`vector` at length one. Raises :class:`LedgerError` if it is zero."""
    norm = np.linalg.norm(vector)
    if not norm > 0:
        raise LedgerError(f"Steering: {name} is zero, so it has no direction.")
    return vector / norm
