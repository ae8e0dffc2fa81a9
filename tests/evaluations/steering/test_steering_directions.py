"""Pooled features, unit directions and judges, against hand computations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.sparse import csr_matrix

from latent_ledger.coders.formats.site_file import write_site
from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.evaluations.probing.evaluation import Task
from latent_ledger.evaluations.steering import directions, examples, judge
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import write_json
from latent_ledger.models.hook_points import CoderSite
from latent_ledger.models.shards import ActivationShards
from tests.coders.shard_folders import write_activations
from tests.tiny_models import BOS, EOS

D = 6


@pytest.fixture
def shards(tmp_path) -> tuple[ActivationShards, np.ndarray, np.ndarray]:
    """Five examples of BOS, three tokens and (for the last) an EOS; their values and ids."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 4, D)).astype(np.float32)
    ids = rng.integers(0, 200, (5, 4))
    ids[:, 0], ids[4, 3] = BOS, EOS
    folder = write_activations(
        tmp_path / "acts",
        "layers.0.resid_post",
        torch.from_numpy(values),
        torch.from_numpy(ids),
        per_shard=2,
        tokens={},
    )
    return ActivationShards(folder), values, ids


def test_example_means_leave_special_tokens_out(shards):
    acts, values, _ = shards
    means = examples.example_means(acts, examples.activation_rows(acts), 6)
    np.testing.assert_allclose(means[0], values[0, 1:4].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(means[4], values[4, 1:3].mean(axis=0), rtol=1e-6)
    assert not means[5].any()  # an example without a token


def test_example_means_of_leading_tokens_equal_hand_computation(shards):
    acts, values, ids = shards
    means = examples.example_means(acts, examples.activation_rows(acts), 5, first=2)
    np.testing.assert_allclose(means[3], values[3, 1:3].mean(axis=0), rtol=1e-6)
    bags = examples.example_means(acts, examples.token_rows(acts, 259), 5, first=2)
    expected = np.zeros(259)
    np.add.at(expected, ids[3, 1:3], 0.5)
    np.testing.assert_allclose(bags[3].toarray()[0], expected)
    norms = examples.example_means(acts, examples.squared_norms(acts), 5)
    assert norms[1, 0] == pytest.approx((values[1, 1:] ** 2).sum(axis=1).mean(), rel=1e-6)


def test_example_means_of_sparse_and_dense_rows_are_equal(shards):
    acts, values, _ = shards
    rows = [np.abs(part) for part in examples.activation_rows(acts)]
    dense = examples.example_means(acts, rows, 5)
    sparse = examples.example_means(acts, map(csr_matrix, rows), 5)
    np.testing.assert_allclose(sparse.toarray(), dense)


def test_bag_of_text_is_share_of_each_token():
    shares = judge.bag(np.array([[3, 3, 5, 1], [0, 0, 0, 0]]), 7).toarray()
    np.testing.assert_allclose(shares, [[0, 0.25, 0, 0.5, 0, 0.25, 0], [1, 0, 0, 0, 0, 0, 0]])


def test_best_latent_has_largest_positive_difference():
    """Latent 2 falls further than latent 1 rises, and would steer away from the concept."""
    labels = np.array([1, 1, 0, 0])
    codes = np.array([[1.0, 3, 0, 0], [1, 3, 0, 1], [1, 0, 9, 0], [1, 0, 9, 0]])
    assert directions.best_latent(csr_matrix(codes), labels) == (1, 3.0)
    with pytest.raises(LedgerError, match="No latent is more active"):
        directions.best_latent(csr_matrix(codes[:, [0, 2]]), labels)


@pytest.mark.parametrize("architecture", ["sae", "skip-transcoder"])
def test_decoder_direction_is_unit_decoder_row(tmp_path, architecture):
    rng = np.random.default_rng(1)
    transcode = architecture != "sae"
    weights = {
        "encoder.weight": rng.normal(size=(4, D)),
        "encoder.bias": rng.normal(size=4),
        "W_dec": rng.normal(size=(4, D)),
        "b_dec": rng.normal(size=D),
    }
    if transcode:
        weights["W_skip"] = rng.normal(size=(D, D))
    save_file(
        {name: torch.from_numpy(value).float() for name, value in weights.items()},
        tmp_path / "sae.safetensors",
    )
    write_json(
        tmp_path / "cfg.json", {"k": 2, "transcode": transcode, "skip_connection": transcode}
    )
    site = CoderSite.at(0, "mlp_in", "mlp_out" if transcode else None)
    write_site(tmp_path, "sparsify", site)
    coder = load_coder(tmp_path)
    assert coder.architecture == architecture
    expected = weights["W_dec"][3] / np.linalg.norm(weights["W_dec"][3])
    np.testing.assert_allclose(directions.decoder_direction(coder, 3), expected, atol=1e-6)
    coder.weights["W_dec"][2] = 0
    with pytest.raises(LedgerError, match="decoder row of latent 2 is zero"):
        directions.decoder_direction(coder, 2)


def test_difference_of_means_points_to_positive_class():
    raw = np.array([[4.0, 1], [6, 1], [1, 1], [3, 1]])
    labels = np.array([1, 1, 0, 0])
    np.testing.assert_allclose(directions.difference_of_means(raw, labels), [1, 0])
    np.testing.assert_allclose(directions.difference_of_means(raw, 1 - labels), [-1, 0])


def test_random_directions_are_uniform_unit_vectors():
    drawn = directions.random_directions(np.random.default_rng(0), 4000, D)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1)
    assert np.abs(drawn.mean(axis=0)).max() < 0.04
    np.testing.assert_allclose(drawn.T @ drawn / 4000, np.eye(D) / D, atol=0.02)


def test_judge_scores_equal_fitted_probe():
    """Weights and intercept give the scores of the fitted probe on any features."""
    rng = np.random.default_rng(2)
    features = rng.normal(3, [1, 5, 0.1, 1, 1, 1], (300, D))
    labels = (features[:, 1] + rng.normal(size=300) > 3).astype(int)
    task = Task("c", np.arange(200), np.arange(200, 300), labels[:200], labels[200:])
    judging, accuracy = judge.fit(task, features, seed=0)
    scores, _ = judge.fit_probe(features[:200], labels[:200], features[200:], tune=True, seed=0)
    np.testing.assert_allclose(judging.scores(features[200:]), scores, atol=1e-9)
    assert accuracy == np.mean((scores > 0) == labels[200:]) > 0.85


def test_second_opinion_ignores_tokens_outside_training():
    rng = np.random.default_rng(3)
    labels = np.arange(200) % 2
    ids = rng.integers(0, 20, (200, 10))
    ids[labels == 1, :3] = 4
    bags = judge.bag(ids, 50)
    task = Task("c", np.arange(120), np.arange(120, 200), labels[:120], labels[120:])
    texts = judge.bag(np.array([[4, 4, 4, 1, 2], [9, 8, 7, 6, 5], [40, 41, 42, 43, 44]]), 50)
    scores, accuracy = judge.second_opinion(task, bags, texts, seed=0)
    assert accuracy > 0.95
    assert scores[0] > 0 > scores[1]
    assert np.isfinite(scores).all()
