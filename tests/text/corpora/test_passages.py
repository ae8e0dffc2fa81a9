"""Shared passages: exactly those texts with 64 equal bytes in a row."""

from __future__ import annotations

import numpy as np
import pytest

from latent_ledger.text.corpora import passages
from latent_ledger.text.corpora.passages import Passages, clusters, windows


def text(seed: int, length: int) -> str:
    return "".join(map(chr, np.random.default_rng(seed).integers(97, 123, length)))


def brute_force(first: str, other: str) -> bool:
    grams = {first.encode()[i : i + 64] for i in range(len(first.encode()) - 63)}
    return any(other.encode()[i : i + 64] in grams for i in range(len(other.encode()) - 63))


@pytest.mark.parametrize(("shared", "expected"), [(63, False), (64, True), (200, True)])
def test_64_bytes_are_a_passage_wherever_they_stand(shared, expected):
    common = text(0, shared)
    first = "A" + text(1, 100) + "." + common
    other = common + "!" + text(2, 31)
    assert brute_force(first, other) is expected
    assert Passages([text(3, 500), first]).found_in([text(4, 300), other]).tolist() == [
        False,
        expected,
    ]


def test_a_window_never_crosses_two_texts():
    halves = [text(0, 40), text(1, 40)]
    assert len(windows(halves)[0]) == 0
    assert not Passages(halves).found_in(["".join(halves)]).any()


def test_hashes_do_not_depend_on_the_place():
    long, short = text(5, 3000), text(5, 3000)[1234 : 1234 + 64]
    hashes, owner = windows([text(6, 99), long])
    assert windows([short])[0] in hashes[owner == 1]


def test_passages_do_not_depend_on_the_chunk_size(monkeypatch):
    texts = [text(seed % 7, 150) + text(seed, 80) for seed in range(40)]
    reference = Passages([text(3, 150), text(11, 80)])
    whole = reference.found_in(texts)
    monkeypatch.setattr(passages, "CHUNK", 500)
    assert reference.found_in(texts).tolist() == whole.tolist()
    assert whole.tolist() == [
        any(brute_force(r, t) for r in (text(3, 150), text(11, 80))) for t in texts
    ]


def test_clusters_are_transitive():
    a, b, c = text(0, 70), text(1, 70), text(2, 70)
    labels = clusters([a, text(9, 90), a + b, b + c, c, "short", "short too"])
    assert labels[0] == labels[2] == labels[3] == labels[4]
    assert len(set(labels.tolist())) == 4


def test_no_texts_have_no_passages():
    assert clusters(["a", "b"]).tolist() == [0, 1]
    assert Passages([]).found_in([]).tolist() == []
    assert Passages([]).found_in([text(0, 100)]).tolist() == [False]
