"""Minimal pairs: single-token answers, equal lengths, disjoint halves, both directions."""

from __future__ import annotations

import pytest
import torch

from latent_ledger.evaluations.edges.task import batches, make_pairs
from latent_ledger.lib.errors import LedgerError
from tests.evaluations.edges.toys import TASK, token
from tests.tiny_models import BOS, PAD, byte_tokenizer


def drawn(pairs=4, seed=0, **changes):
    return make_pairs({**TASK, **changes}, byte_tokenizer(), pairs, seed)


def test_pairs_have_bos_prompts_and_answer_ids():
    halves, dropped = drawn()
    assert dropped == {}
    pair = halves["attribution"][0]
    assert pair.prompts[0][0] == BOS and pair.prompts[0][2:] == (token("A"), token("p"))
    assert pair.prompts[1][2] == token("B")
    assert pair.answer_ids == (token("a"), token("b"))


def test_halves_share_no_context_and_the_draw_follows_the_seed():
    halves, _ = drawn(seed=3)
    firsts = {half: {pair.prompts[0][1] for pair in pairs} for half, pairs in halves.items()}
    assert not firsts["attribution"] & firsts["evaluation"]
    assert drawn(seed=3) == drawn(seed=3)
    assert len({str(drawn(seed=seed)) for seed in range(5)}) > 1


def test_unusable_pairs_are_counted_by_reason():
    halves, dropped = drawn(
        pairs=40, subjects=[["A", "B"], ["A", "BB"]], answers=[["a", "b"], ["aa", "b"], ["c", "c"]]
    )
    assert sum(map(len, halves.values())) == 4
    assert dropped == {
        "answers that are equal or change with the prompt": 4,
        "answers that are not one token": 4,
        "prompts of unequal length": 12,
    }


def test_task_without_usable_pair_raises_error_with_reason():
    with pytest.raises(LedgerError, match="2 answers that are not one token"):
        drawn(answers=[["aa", "b"]], contexts=["x", "y", "z", "w"])


def test_batch_holds_both_directions_padded_on_the_right():
    halves, _ = drawn(pairs=4, contexts=["x", "xyz", "w", "wyz"])
    both = halves["attribution"] + halves["evaluation"]
    (batch,) = batches(both, 64, PAD)
    assert torch.equal(batch.clean[0::2], batch.corrupted[1::2])
    assert torch.equal(batch.right[0::2], batch.wrong[1::2])
    for row in range(len(batch)):
        real = batch.clean[row] != PAD
        assert int(batch.last[row]) == int(real.sum()) - 1
        assert int(batch.clean[row, batch.last[row]]) == token("p")
    assert [len(batch) for batch in batches(both, 4, PAD)] == [4, 4]
