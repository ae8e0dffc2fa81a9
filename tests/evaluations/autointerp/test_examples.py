"""The sample of latents and their windows: delphi's draws, and the guards around them."""

import re

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from latent_ledger.evaluations.autointerp import (
    delphi_io,
    examples,
    negatives,
    records,
    sample,
    windows,
)
from latent_ledger.lib.errors import LedgerError
from tests.evaluations.autointerp import planted
from tests.tiny_models import folder_digest


def of(made, latent, role):
    """Rows of one latent's examples of one role."""
    return [
        (number, row)
        for number, row in enumerate(planted.rows(made[0], records.EXAMPLES))
        if row["latent"] == latent and row["role"] == role
    ]


# -- the sample -----------------------------------------------------------------------------------


def test_strata_of_hand_computed_frequencies():
    frequency = np.array([0.0, 0.0005, 0.001, 0.02, 0.5])
    assert sample.stratify(frequency, [0.001, 0.1]).tolist() == [0, 1, 2, 2, 3]
    names = ["never fires", "below 0.001", "0.001 to 0.1", "from 0.1"]
    assert sample.stratum_names([0.001, 0.1]) == names


def test_each_stratum_gets_its_share():
    assert sample.allocate(np.array([50, 30, 20]), 10).tolist() == [5, 3, 2]
    assert sample.allocate(np.array([5, 3, 3]), 4).tolist() == [2, 1, 1]
    assert sample.allocate(np.array([2, 1]), 9).tolist() == [2, 1], "no more than there are"
    strata = np.repeat([0, 1, 2], [10, 60, 30])
    drawn = sample.draw(strata, 20, seed=3)
    assert np.bincount(strata[drawn]).tolist() == [2, 12, 6]
    assert (np.diff(drawn) > 0).all()
    assert (drawn == sample.draw(strata, 20, seed=3)).all()
    assert (drawn != sample.draw(strata, 20, seed=4)).any()


def test_special_tokens_count_neither_as_firings_nor_as_tokens():
    codes = csr_matrix(np.array([[1, 0], [0, 2], [3, 0], [4, 0]], np.float32))
    counted = np.array([False, True, True, True])
    shards = [codes[:2], codes[2:]]
    frequency = sample.frequencies(sample.ordinary(shards, counted), 2, 3)
    assert frequency.tolist() == [2 / 3, 1 / 3]


# -- every requested latent is accounted for ------------------------------------------------------


def test_every_requested_latent_has_one_status(made):
    out, facts = made
    rows = planted.rows(out, records.LATENTS)
    status = {row["latent"]: row["status"] for row in rows}
    assert list(status) == list(range(planted.WIDTH)), "all were drawn"
    assert status[planted.NEVER] == examples.NEVER
    assert status[planted.RARE] == examples.FEW
    assert status[planted.DENSE] == examples.DENSE
    scorable = [latent for latent, what in status.items() if what == records.SCORABLE]
    assert scorable == [*planted.ON_WORDS, *planted.AT_RANDOM]
    assert facts["requested"] == sum(facts["statuses"].values()) == planted.WIDTH
    assert facts["scorable"] == len(scorable)


def test_delphis_constructor_drops_three_latents_without_a_message(latents):
    """What the statuses stand for: one silent None, and one record without negatives."""
    with delphi_io.stand_ins():
        from delphi.config import ConstructorConfig
        from delphi.latents.constructors import constructor
        from delphi.latents.latents import ActivationData

    def build(locations):
        data = ActivationData(torch.tensor(locations), torch.ones(len(locations)))
        cfg = ConstructorConfig(example_ctx_len=4, min_examples=2, n_non_activating=3)
        tokens = torch.zeros((4, 8), dtype=torch.int64)
        record = delphi_io.LatentRecord(delphi_io.Latent("", 0))
        return constructor(record, data, cfg, tokens, delphi_io.TokenText(str))

    assert build([[0, 1, 0]]) is None
    assert build([[context, place, 0] for context in range(4) for place in (1, 5)]).not_active == []


# -- the windows ----------------------------------------------------------------------------------


def test_lazy_windows_give_the_draws_of_delphis_constructor_and_samplers(folders):
    """Same windows, same draws: only the objects that are not taken are not made."""
    with delphi_io.stand_ins():
        from delphi.config import ConstructorConfig
        from delphi.latents.constructors import constructor
        from delphi.latents.latents import ActivationData

    ids, special = examples.packed(folders["tokens"], planted.WINDOW)
    rows = np.sort(np.random.default_rng(1).choice(ids.size, 300, replace=False))
    values = np.random.default_rng(2).uniform(1, 2, 300).astype(np.float32)
    pool = windows.Pool(rows, values, ids)

    length = planted.CONTEXT
    locations = np.stack([rows // length, rows % length, np.zeros_like(rows)], axis=1)
    theirs = constructor(
        delphi_io.LatentRecord(delphi_io.Latent("", 0)),
        ActivationData(torch.from_numpy(locations), torch.from_numpy(values)),
        ConstructorConfig(example_ctx_len=planted.WINDOW, min_examples=1, n_non_activating=30),
        torch.from_numpy(ids.reshape(-1, length)),
        delphi_io.TokenText(str),
        seed=5,
    )
    assert len(pool) == len(theirs.examples)
    for ours, other in zip(pool, theirs.examples, strict=True):
        assert torch.equal(ours.tokens, other.tokens)
        assert torch.equal(ours.activations, other.activations)
    silent = windows.silent_windows(pool, 30, seed=5)
    assert [other.tokens.tolist() for other in theirs.not_active] == ids[silent].tolist()

    for part in (slice(0, None, 2), slice(1, None, 2)):
        arguments = (theirs.max_activation, 20, "quantiles", 5)
        eager = delphi_io.train(theirs.examples[part], *arguments)
        lazy = delphi_io.train(pool[part], *arguments)
        assert len(lazy) == len(eager) == 20
        for ours, other in zip(lazy, eager, strict=True):
            assert torch.equal(ours.tokens, other.tokens) and ours.quantile == other.quantile
            assert torch.equal(ours.normalized_activations, other.normalized_activations)
    assert pool[0].max_activation == theirs.max_activation


def test_no_test_example_is_in_the_explainers_prompt(made, folders):
    for latent in (*planted.ON_WORDS, *planted.AT_RANDOM):
        train, test = (
            {row["window"] for _, row in of(made, latent, role)} for role in ("train", "test")
        )
        assert len(train) == len(test) == 20 and not train & test

    # Without the guard, one list and one seed give the very same examples.
    ids, _ = examples.packed(folders["tokens"], planted.WINDOW)
    pool = windows.Pool(np.arange(0, 4000, 20), np.ones(200, np.float32), ids)
    shown = delphi_io.train(pool, 1.0, 20, "quantiles", 5)
    asked = delphi_io.test(pool, 1.0, 20, 5, "quantiles")
    assert {example.window for example in shown} == {example.window for example in asked}


def test_windows_are_uncentred_and_numbered(made, folders):
    """delphi's centring has its meaning inverted and takes wrong side contexts."""
    ids, special = examples.packed(folders["tokens"], planted.WINDOW)
    arrays = records.load_file(made[0] / records.ARRAYS)
    for role in ("train", "test", "negative", "matched"):
        for number, row in of(made, 3, role):
            assert (arrays["tokens"][number] == ids[row["window"]]).all()
            fires = arrays["activations"][number] > 0
            word = ids[row["window"]] == planted.FIRST + 21
            if role in ("train", "test"):
                assert (fires == word).all(), "exactly where the word is, and never on BOS"
            else:
                assert not word.any()
                assert fires.any() == (role == "matched")


def test_equal_settings_give_equal_bytes(made, folders, tmp_path):
    examples.produce(planted.SETTINGS, **folders, out=tmp_path)
    assert folder_digest(tmp_path) == folder_digest(made[0])


def test_sizes_that_do_not_fit_are_refused(folders, tmp_path):
    with pytest.raises(LedgerError, match="do not fill contexts of 32"):
        examples.produce({**planted.SETTINGS, "example_tokens": 12}, **folders, out=tmp_path)
    with pytest.raises(LedgerError, match="20 of 21 examples could be drawn"):
        examples.produce({**planted.SETTINGS, "n_train": 21}, **folders, out=tmp_path)


# -- text -----------------------------------------------------------------------------------------


def test_tokens_become_text_one_by_one(latents):
    """transformers 5 joins the ids of one example into one string: marks then fall on letters."""
    tokenizer = planted.tokenizer()
    ids = torch.tensor([planted.FIRST, planted.FIRST + 1])
    joined = tokenizer.batch_decode(ids)
    assert len(joined) != 2, "upstream behaves again: the guard can go"
    words = [f" {word}" for word in planted.WORDS[:2]]
    assert delphi_io.TokenText(tokenizer.decode).batch_decode(ids) == words
    for latent in latents:
        for example in (*latent.record.train, *latent.record.test, *latent.matched):
            assert len(example.str_tokens) == planted.WINDOW
    word = planted.WORDS[7]
    prompt = delphi_io.DefaultExplainer(None, threshold=0.3)._build_prompt(latents[1].record.train)
    shown = [line for line in prompt[-1]["content"].split("\n") if "<<" in line]
    assert len(shown) == 20
    marked = {
        token for line in shown for part in re.findall("<<(.*?)>>", line) for token in part.split()
    }
    assert marked == {word}


# -- negatives with the marks of positives --------------------------------------------------------


def test_marks_are_borrowed_equally_often_and_never_for_special_tokens():
    marked = np.eye(4, 6, dtype=bool)
    special = np.zeros((8, 6), bool)
    special[0, :3] = True  # only the last positive fits
    lender = negatives.borrow(marked, special, np.random.default_rng(0))
    assert lender[0] == 3
    assert np.bincount(lender).tolist() == [2, 2, 2, 2]


def test_negative_that_no_positive_fits_takes_the_fewest_clashes():
    marked = np.array([[1, 1, 1, 0], [0, 1, 0, 0]], bool)
    special = np.array([[1, 1, 0, 0]], bool)
    assert negatives.borrow(marked, special, np.random.default_rng(0)).tolist() == [1]


def test_matched_negatives_are_marked_where_positives_are(latents):
    def places(example):
        return tuple(np.flatnonzero(negatives.marks(example.activations.numpy())))

    for latent in latents:
        positives = sorted(map(places, latent.record.test))
        assert sorted(map(places, latent.matched)) == positives
        for negative, matched in zip(latent.record.not_active, latent.matched, strict=True):
            assert negative.str_tokens == matched.str_tokens
            assert not any(matched.str_tokens[i].startswith("<") for i in places(matched))
