"""Passages that texts share: 64 equal bytes in a row, wherever they stand.

Web text is cut into overlapping excerpts, quoted and re-posted. Every window of 64 bytes gets a
polynomial hash (Karp and Rabin, 1987) modulo 2**64; prefix sums make that one vectorised pass, so
tens of megabytes cost about a second. A collision would only drop or group a text too many.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

WIDTH = 64
"""Bytes of a passage: about twelve words, as in the contamination checks of language models."""

BASE = 0x9E3779B97F4A7C15
INVERSE = pow(BASE, -1, 1 << 64)
BUCKET_BITS = 26
CHUNK = 4_000_000


def windows(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of all windows of :data:`WIDTH` bytes, and the index of the text each lies in.

    Returns two arrays of one length: uint64 hashes, and int64 indices into `texts` (ascending).
    Texts shorter than the width have no window.
    """
    encoded = [text.encode() for text in texts]
    lengths = np.array([len(text) for text in encoded], dtype=np.int64)
    content = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    if len(content) < WIDTH:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    owner = np.repeat(np.arange(len(texts)), lengths)
    starts = np.flatnonzero(owner[: len(content) - WIDTH + 1] == owner[WIDTH - 1 :])
    prefix = np.zeros(len(content) + 1, dtype=np.uint64)
    np.cumsum(
        (content.astype(np.uint64) + np.uint64(1)) * _powers(BASE, len(content)), out=prefix[1:]
    )
    shift = _powers(INVERSE, len(content))  # so that a window's hash does not depend on its place
    hashes = (prefix[starts + WIDTH] - prefix[starts]) * shift[starts]
    return hashes, owner[starts]


def clusters(texts: Sequence[str]) -> np.ndarray:
    """Group texts that share a passage, directly or through others: int labels [len(texts)]."""
    hashes, owner = windows(texts)
    order = np.argsort(hashes, kind="stable")
    hashes, owner = hashes[order], owner[order]
    same = hashes[1:] == hashes[:-1]
    left, right = owner[:-1][same], owner[1:][same]
    n = len(texts)
    links = coo_array((np.ones(len(left), bool), (left, right)), shape=(n, n))
    return connected_components(links, directed=False)[1]


class Passages:
    """The passages of some reference texts, to look for in others."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.hashes = np.unique(windows(texts)[0])
        self.buckets = np.zeros(1 << BUCKET_BITS, dtype=bool)  # a first sieve: most windows miss
        self.buckets[_bucket(self.hashes)] = True

    def found_in(self, texts: Sequence[str]) -> np.ndarray:
        """True for every text that shares a passage with a reference text: bool [len(texts)]."""
        shares = np.zeros(len(texts), dtype=bool)
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
        cuts = np.flatnonzero(np.diff(ends // CHUNK)) + 1  # about CHUNK characters at a time
        for begin, end in itertools.pairwise([0, *cuts.tolist(), len(texts)]):
            hashes, owner = windows(texts[begin:end])
            maybe = self.buckets[_bucket(hashes)]
            hashes, owner = hashes[maybe], owner[maybe]
            shares[begin + owner[np.isin(hashes, self.hashes)]] = True
        return shares


def _powers(base: int, count: int) -> np.ndarray:
    powers = np.full(count, base, dtype=np.uint64)
    powers[:1] = 1
    return np.cumprod(powers)


def _bucket(hashes: np.ndarray) -> np.ndarray:
    # The low bits of a polynomial hash are its weak ones; a multiplication moves all to the top.
    return (hashes * np.uint64(BASE)) >> np.uint64(64 - BUCKET_BITS)
