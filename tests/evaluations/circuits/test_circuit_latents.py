"""Selection of circuit latents, and random draws in their place."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from latent_ledger.evaluations.circuits.latents import (
    attribute,
    draw,
    draw_matched,
    firing,
    live_latents,
)
from latent_ledger.lib.errors import LedgerError


def test_attribution_of_two_layers_equals_hand_computation():
    codes = csr_matrix(
        np.array([[1.0, 0, 4, 0, 0, 9], [1, 2, 2, 0, 0, 9], [1, 0, 0, 3, 1, 0], [1, 0, 0, 1, 0, 0]])
    )
    columns, differences = attribute(codes, np.array([1, 1, 0, 0]), [slice(0, 3), slice(3, 6)], 2)
    np.testing.assert_array_equal(columns, [[2, 1], [5, 3]])
    np.testing.assert_allclose(differences, [[3, 1], [9, -2]])
    np.testing.assert_array_equal(firing(codes), [4, 1, 2, 2, 1, 2])


def test_draws_are_live_distinct_and_uniform():
    fired = np.array([0, 3, 1, 0, 2, 5, 0, 9, 9, 9])
    live = live_latents(fired, [slice(0, 6), slice(6, 10)], 2, "actor")
    np.testing.assert_array_equal(np.concatenate(live), [1, 2, 4, 5, 7, 8, 9])
    drawn = draw(live, 2, 4000, np.random.default_rng(0))
    assert drawn.shape == (4000, 2, 2)
    assert (drawn[:, :, 0] != drawn[:, :, 1]).all()
    for layer, columns in enumerate(live):
        counts = np.bincount(drawn[:, layer].ravel(), minlength=10)
        assert set(np.flatnonzero(counts)) == set(columns)
        expected = 8000 / len(columns)
        assert (abs(counts[columns] - expected) < 5 * np.sqrt(expected)).all()


def test_live_latents_too_few_raise_error_that_names_layer():
    fired = np.array([1, 1, 1, 0, 0, 1])
    with pytest.raises(LedgerError, match="Only 1 of the 3 latents of layer 2 of 2 fire on .*'a'"):
        live_latents(fired, [slice(0, 3), slice(3, 6)], 2, "a")


def test_matched_draws_have_firing_frequency_of_circuit():
    fired = np.arange(200) + 1
    live, circuit = [np.arange(200)], np.array([[199, 185, 190, 4, 181]])
    drawn = draw_matched(circuit, live, fired, 300, np.random.default_rng(0))[:, 0]
    assert drawn.shape == (300, 5)
    rare = drawn < 20
    assert (rare.sum(axis=1) == 1).all() and (drawn[~rare] >= 180).all()
    assert set(drawn.ravel()) == {*range(20), *range(180, 200)}
    assert all(len(set(latents)) == 5 for latents in drawn.tolist())
