"""The sample of latents: one random draw per coder, fixed before any score.

A latent's firing frequency is its share of the ordinary tokens (no BOS, no EOS). The cut points of
the configuration divide the frequencies into strata; latents that never fire are a stratum of their
own. Every stratum gets its proportional share of the sample, so the plain mean over the sample
estimates the mean over the coder's latents, with less variance than a draw from all of them.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix, diags


def ordinary(shards: Iterable[csr_matrix], counted: np.ndarray) -> Iterable[csr_matrix]:
    """The shards of codes with the rows of special tokens emptied; `counted` [rows] bool."""
    first = 0
    for shard in shards:
        keep = counted[first : first + shard.shape[0]]
        first += shard.shape[0]
        kept = csr_matrix(diags(keep.astype(np.float32)) @ shard)
        kept.eliminate_zeros()
        yield kept


def frequencies(shards: Iterable[csr_matrix], width: int, rows: int) -> np.ndarray:
    """Share of `rows` tokens on which each latent fires; [width] float64."""
    fired = sum(np.bincount(shard.indices, minlength=width) for shard in shards)
    return np.asarray(fired) / rows


def stratify(frequency: np.ndarray, cuts: Sequence[float]) -> np.ndarray:
    """Stratum of each latent: 0 never fires, 1 is below the first cut, and so on; [width]."""
    band = np.searchsorted(np.asarray(cuts, dtype=np.float64), frequency, side="right") + 1
    return np.where(frequency > 0, band, 0)


def stratum_names(cuts: Sequence[float]) -> list[str]:
    """A name per stratum, in the order of :func:`stratify`."""
    ends = [f"{cut:g}" for cut in cuts]
    middle = [f"{low} to {high}" for low, high in pairwise(ends)]
    return ["never fires", f"below {ends[0]}", *middle, f"from {ends[-1]}"]


def allocate(sizes: np.ndarray, n: int) -> np.ndarray:
    """The number of `n` for each stratum: its share rounded down, rests to the largest remainders.

    Ties go to the earlier stratum. `n` is at most the number of latents.
    """
    n = min(n, int(sizes.sum()))
    exact = n * sizes / sizes.sum()
    counts = np.floor(exact).astype(np.int64)
    rest = np.argsort(-(exact - counts), kind="stable")[: n - counts.sum()]
    counts[rest] += 1
    return counts


def draw(strata: np.ndarray, n: int, seed: int) -> np.ndarray:
    """`n` latents, proportionally from every stratum, ascending; [n] int64."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    sizes = np.bincount(strata)
    selected = [
        rng.choice(np.flatnonzero(strata == stratum), size=size, replace=False)
        for stratum, size in enumerate(allocate(sizes, n))
    ]
    return np.sort(np.concatenate(selected)).astype(np.int64)
