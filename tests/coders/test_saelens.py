"""Adapted coders: the same latents, the same output, and they survive a save."""

from __future__ import annotations

import pytest
import torch
from sae_lens import SAE
from sae_lens.saes import topk_sae
from scipy.sparse import csr_matrix

from latent_ledger.coders.saelens import to_saelens, wrong_variant
from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.coders.topk_transcoder import TopK, TopKSkipTranscoder, TopKTranscoder
from tests.coders.coder_folders import SITES, WIDTH, D, K, gemma_scope_folder, sparsify_folder

CLASSES = {
    "sae": "TopKSAE",
    "transcoder": "TopKTranscoder",
    "skip-transcoder": "TopKSkipTranscoder",
}


def dense(coder, x: torch.Tensor) -> torch.Tensor:
    indptr, indices, values = coder.encode(x)
    return torch.from_numpy(csr_matrix((values, indices, indptr), (len(x), WIDTH)).toarray())


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(300, D, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("architecture", SITES)
@torch.no_grad()
def test_sparsify_coders_keep_their_latents_and_output(architecture, tmp_path, x):
    folder = sparsify_folder(tmp_path, architecture)
    ours, sae = load_coder(folder), to_saelens(folder)
    assert type(sae).__name__ == CLASSES[architecture]
    latents = sae.encode(x)
    assert torch.equal(latents > 0, dense(ours, x) > 0)
    torch.testing.assert_close(latents, dense(ours, x))
    torch.testing.assert_close(sae(x), ours.reconstruct(x))


@pytest.mark.parametrize("architecture", ["sae", "transcoder"])
@torch.no_grad()
def test_gemma_scope_coders_keep_their_latents_and_output(architecture, tmp_path, x):
    folder = gemma_scope_folder(tmp_path, architecture)
    ours, sae = load_coder(folder), to_saelens(folder)
    assert type(sae).__name__ == ("JumpReLUSAE" if architecture == "sae" else "JumpReLUTranscoder")
    assert sae.cfg.apply_b_dec_to_input is False
    torch.testing.assert_close(sae.encode(2 * x), dense(ours, 2 * x))
    torch.testing.assert_close(sae(2 * x), ours.reconstruct(2 * x))


@pytest.mark.parametrize("architecture", SITES)
@torch.no_grad()
def test_decode_omits_the_skip_and_forward_adds_it(architecture, tmp_path, x):
    """SAELens' `decode` does not see the input, so whoever needs the output must call `forward`."""
    folder = sparsify_folder(tmp_path, architecture)
    sae = to_saelens(folder)
    missing = sae(x) - sae.decode(sae.encode(x))
    if architecture == "skip-transcoder":
        skip = x @ load_coder(folder).weights["W_skip"].T
        assert skip.abs().max() > 1
        torch.testing.assert_close(missing, skip, rtol=1e-4, atol=1e-5)
    else:
        assert missing.abs().max() == 0


@pytest.mark.parametrize("architecture", SITES)
@torch.no_grad()
def test_adapted_coders_survive_a_save(architecture, tmp_path, x):
    sae = to_saelens(sparsify_folder(tmp_path / "coder", architecture))
    sae.save_model(tmp_path / "saved")
    loaded = SAE.load_from_disk(tmp_path / "saved")
    assert type(loaded) is type(sae)
    assert (loaded.cfg.k, loaded.cfg.apply_b_dec_to_input) == (K, architecture == "sae")
    assert loaded.cfg.metadata.hook_name == str(SITES[architecture].input_hook)
    assert torch.equal(loaded.encode(x), sae.encode(x))
    assert torch.equal(loaded(x), sae(x))


@torch.no_grad()
def test_without_b_dec_at_the_input_it_is_another_coder(tmp_path, x):
    folder = sparsify_folder(tmp_path, "sae")
    right, wrong = to_saelens(folder), wrong_variant(folder).sae
    both, either = (
        operation(right.encode(x) > 0, wrong.encode(x) > 0).sum()
        for operation in (torch.logical_and, torch.logical_or)
    )
    assert both / either < 0.7


def test_only_a_sparsify_sae_has_a_variant_that_is_known_to_be_wrong(tmp_path):
    assert wrong_variant(sparsify_folder(tmp_path / "a", "transcoder")) is None
    assert wrong_variant(gemma_scope_folder(tmp_path / "b", "sae")) is None


def test_nothing_is_normalised_and_everything_is_fp32(tmp_path):
    sae = to_saelens(sparsify_folder(tmp_path, "sae", dtype=torch.float16))
    assert {parameter.dtype for parameter in sae.parameters()} == {torch.float32}
    assert sae.cfg.dtype == "float32" and sae.cfg.device == "cpu"
    assert sae.cfg.normalize_activations == "none"
    assert sae.cfg.rescale_acts_by_decoder_norm is False


def test_adapting_consumes_no_random_numbers(tmp_path):
    """SAELens draws initial weights; a caller's seeded stream must not notice."""
    folder = sparsify_folder(tmp_path, "skip-transcoder")
    torch.manual_seed(0)
    to_saelens(folder)
    after = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(3))


@pytest.mark.parametrize("architecture", [TopKTranscoder, TopKSkipTranscoder])
def test_untrained_transcoders_can_be_made_from_a_configuration(architecture):
    sizes = {"d_in": 4, "d_out": 4, "d_sae": 8, "k": 3, "apply_b_dec_to_input": False}
    coder = architecture.from_dict(sizes)
    assert type(coder) is architecture
    assert int((coder.encode(torch.ones(1, 4)) > 0).sum()) <= 3


@pytest.mark.parametrize("shape", [(6, 256), (2, 3, 256)])
def test_our_top_k_is_that_of_saelens(shape):
    """At a width of two stages, with contexts as sae_bench encodes them, in any layout."""
    x = torch.randn(shape, generator=torch.manual_seed(0))
    x = torch.stack([x, -x], dim=-1)[..., 0]
    assert torch.equal(TopK(16)(x), topk_sae.TopK(16)(x))
    assert int((TopK(16)(x) > 0).sum(-1).min()) == 16
