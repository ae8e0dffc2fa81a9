"""Sampling under a vector: equality with plain passes, random streams and special tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from latent_ledger.evaluations.steering import generate
from latent_ledger.models import hooks, language_model
from latent_ledger.models.hook_points import HookPoint
from tests.evaluations.steering import planted
from tests.tiny_models import BOS, EOS, PAD

PROMPT, N, NEW, D = [BOS, 70, 71, 72], 3, 9, 32
SPECIAL = [BOS, EOS, PAD]


def streams(n: int = N) -> list[np.random.Generator]:
    return [generate.stream(0, "test", index) for index in range(n)]


def write(model, hook_point: HookPoint, vectors: torch.Tensor, **options) -> np.ndarray:
    options = {"new_tokens": NEW, "temperature": 0.7, "never": SPECIAL} | options
    return generate.write(model, hook_point, PROMPT, vectors, streams(vectors.shape[1]), **options)


@torch.inference_mode()
def written_plainly(
    model, hook_point: HookPoint, vector: torch.Tensor, rng: np.random.Generator
) -> list[int]:
    """One text, the whole sequence anew for every token, BOS left alone."""
    ids = list(PROMPT)

    def steer(value: torch.Tensor) -> torch.Tensor:
        value = value.clone()
        value[:, 1:] += vector.to(value.dtype)
        return value

    while len(ids) < len(PROMPT) + NEW:
        with hooks.hooked(model, {hook_point: steer}):
            logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1].float() / 0.7
        logits[SPECIAL] = -torch.inf
        ids.append(int((logits.double() + torch.from_numpy(rng.gumbel(size=len(logits)))).argmax()))
    return ids[len(PROMPT) :]


@pytest.mark.parametrize("folder", ["neox", "gemma2"])
@pytest.mark.parametrize("point", ["resid_post", "mlp_out", "resid_pre"])
def test_texts_with_cache_equal_texts_without(folder, point, request):
    """Gemma's sliding window of 16 is not reached by prompt and text, its post-norm is."""
    model, hook_point = (
        language_model.load_model(request.getfixturevalue(folder)),
        HookPoint(1, point),
    )
    vectors = 3 * torch.randn(2, N, D, generator=torch.Generator().manual_seed(0))
    vectors[0] = 0
    ids = write(model, hook_point, vectors)
    assert ids.shape == (2, N, NEW)
    for cell in range(2):
        for index, rng in enumerate(streams()):
            plainly = written_plainly(model, hook_point, vectors[cell, index], rng)
            assert ids[cell, index].tolist() == plainly, (cell, index)
    assert (ids[0] != ids[1]).any()


def test_texts_beyond_sliding_window_equal_plain_pass(gemma2):
    model, hook_point = language_model.load_model(gemma2), HookPoint(0, "resid_post")
    window = model.config.sliding_window
    ids = write(model, hook_point, torch.zeros(1, 1, D), new_tokens=window + 8)[0, 0]
    logits = model(torch.tensor([[*PROMPT, *ids]]), use_cache=False).logits[0].float() / 0.7
    logits[:, SPECIAL] = -torch.inf
    (rng,) = streams(1)
    for place, token in enumerate(ids):
        noise = torch.from_numpy(rng.gumbel(size=logits.shape[1]))
        assert (logits[len(PROMPT) - 1 + place].double() + noise).argmax() == token


def test_equal_vectors_give_equal_texts_in_any_batch(neox):
    model, hook_point = language_model.load_model(neox), HookPoint(1, "resid_post")
    vectors = torch.zeros(3, N, D)
    vectors[1] = 2.0 * torch.arange(D)
    ids = write(model, hook_point, vectors)
    np.testing.assert_array_equal(ids[0], ids[2])
    np.testing.assert_array_equal(ids[0], write(model, hook_point, torch.zeros(1, N, D))[0])
    assert len({tuple(row) for row in ids[0]}) == N


def test_random_streams_differ_by_every_part_of_name():
    names = [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)]
    drawn = {generate.stream(*name).integers(2**62) for name in names}
    assert len(drawn) == 4
    assert generate.stream(0, "a", 0).integers(2**62) in drawn


def test_samples_follow_the_softmax(tmp_path):
    """The planted model's next token is known: concept tokens e^x as likely as the others."""
    model = language_model.load_model(planted.model_folder(tmp_path))
    vector = torch.from_numpy(0.5 * planted.WRITE).float()
    with hooks.hooked(model, {planted.SITE.output_hook: lambda x: x + vector}):
        logits = model(torch.tensor([[BOS, 70]])).logits[0, -1].float() / 2.0
    logits[SPECIAL] = -torch.inf
    expected = logits.softmax(-1)[planted.CONCEPT_TOKENS].sum().item()
    n = 1500
    ids = generate.write(
        model,
        planted.SITE.output_hook,
        [BOS, 70],
        vector.expand(1, n, -1),
        streams(n),
        new_tokens=1,
        temperature=2.0,
        never=SPECIAL,
    )
    share = np.isin(ids, planted.CONCEPT_TOKENS).mean()
    assert 0.3 < expected < 0.7
    assert share == pytest.approx(expected, abs=4 * (expected * (1 - expected) / n) ** 0.5)


def test_special_tokens_are_never_sampled(neox):
    model = language_model.load_model(neox)
    with torch.no_grad():
        model.get_output_embeddings().weight[SPECIAL] *= 50
    free = write(model, HookPoint(1, "resid_post"), torch.zeros(1, 20, D), never=[])
    assert np.isin(free, SPECIAL).any()
    assert not np.isin(
        write(model, HookPoint(1, "resid_post"), torch.zeros(1, 20, D)), SPECIAL
    ).any()


@pytest.mark.parametrize("folder", ["neox", "gemma2"])
def test_reading_equals_plain_pass(folder, request):
    model, hook_point = (
        language_model.load_model(request.getfixturevalue(folder)),
        HookPoint(2, "resid_post"),
    )
    texts = np.random.default_rng(0).integers(0, 256, (4, NEW))
    reading = generate.read(model, hook_point, PROMPT, texts)
    for row, text in enumerate(texts):
        ids = torch.tensor([[*PROMPT, *text]])
        with torch.inference_mode():
            logits = model(ids, use_cache=False).logits[0, len(PROMPT) - 1 : -1]
        loss = cross_entropy(logits.double(), torch.from_numpy(text)).item()
        assert reading.perplexity[row] == pytest.approx(np.exp(loss), rel=1e-4)
        value = hooks.read(model, ids, [hook_point])[hook_point][0, len(PROMPT) :].mean(dim=0)
        np.testing.assert_allclose(reading.features[row], value.numpy(), rtol=1e-3, atol=1e-4)


def test_bfloat16_model_is_steered_in_bfloat16(gemma2):
    model, hook_point = (
        language_model.load_model(gemma2, "bfloat16"),
        HookPoint(1, "mlp_out_normed"),
    )
    vectors = torch.zeros(2, N, D)
    vectors[1] = 5.0
    vectors[1, :, ::2] = -5.0
    first, again = (write(model, hook_point, vectors) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()
    reading = generate.read(model, hook_point, PROMPT, first[0])
    assert np.isfinite(reading.perplexity).all()
    assert reading.features.dtype == np.float64
