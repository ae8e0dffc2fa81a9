"""Gemma Scope's coders behind the SparseCoder interface, against SAELens' own loader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from latent_ledger.coders.formats.gemma_scope.fetch import produce_pretrained
from latent_ledger.coders.formats.gemma_scope.loader import GemmaScopeCoder
from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.models.hook_points import CoderSite
from tests.coders.coder_folders import WIDTH, D, gemma_scope_arrays, gemma_scope_folder

REPO = "google/gemma-scope-2b-pt-res"
PLACE = "layer_12/width_16k/average_l0_82"
SETTINGS = {"source": REPO, "path": PLACE, "layer": 12, "input_hook": "resid_post"}


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """The hub's cache, holding one small file where Gemma Scope's canonical coder would lie."""
    cache = tmp_path / "hub"
    repo = cache / f"models--{REPO.replace('/', '--')}"
    folder = repo / "snapshots" / "0" / PLACE
    folder.mkdir(parents=True)
    np.savez(folder / "params.npz", **gemma_scope_arrays())
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("0")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    return folder


def test_encode_and_decode_equal_a_hand_computed_case():
    """Two latents: one passes its threshold, one does not; b_dec is added, never subtracted."""
    weights = {
        "W_enc": torch.tensor([[1.0, 1.0]]),
        "W_dec": torch.tensor([[10.0], [100.0]]),
        "b_enc": torch.tensor([0.0, -1.0]),
        "b_dec": torch.tensor([7.0]),
        "threshold": torch.tensor([1.5, 1.5]),
    }
    coder = GemmaScopeCoder(weights, CoderSite.at(0, "resid_post"))
    x = torch.tensor([[2.0], [1.0], [4.0]])
    indptr, indices, values = coder.encode(x)
    assert indptr.tolist() == [0, 1, 1, 3]
    assert indices.tolist() == [0, 0, 1]
    assert values.tolist() == [2.0, 4.0, 3.0]
    assert coder.reconstruct(x).tolist() == [[27.0], [7.0], [347.0]]


def test_a_latent_at_its_threshold_or_below_zero_is_silent():
    weights = {
        "W_enc": torch.ones(1, 2),
        "W_dec": torch.ones(2, 1),
        "b_enc": torch.zeros(2),
        "b_dec": torch.zeros(1),
        "threshold": torch.tensor([1.0, -5.0]),
    }
    coder = GemmaScopeCoder(weights, CoderSite.at(0, "resid_post"))
    assert coder.encode(torch.tensor([[1.0], [-2.0]]))[1].tolist() == [1]


def test_encode_and_decode_equal_saelens_own_loader(hub, tmp_path):
    from sae_lens import SAE
    from sae_lens.loading.pretrained_sae_loaders import gemma_2_sae_huggingface_loader

    def small(*args, **kwargs):
        cfg, weights, sparsity = gemma_2_sae_huggingface_loader(*args, **kwargs)
        return cfg | {"d_in": D, "d_sae": WIDTH}, weights, sparsity

    upstream = SAE.from_pretrained("gemma-scope-2b-pt-res", PLACE, converter=small)
    assert type(upstream).__name__ == "JumpReLUSAE"
    out = tmp_path / "out"
    out.mkdir()
    assert produce_pretrained(SETTINGS, out) == {"architecture": "sae", "d_in": D, "width": WIDTH}
    coder = load_coder(out)
    x = 2 * torch.randn(200, D, generator=torch.Generator().manual_seed(1))
    indptr, indices, values = coder.encode(x)
    assert (indptr.dtype, indices.dtype, values.dtype) == (torch.int64, torch.int32, torch.float32)
    dense = csr_matrix((values, indices, indptr), shape=(200, WIDTH)).toarray()
    with torch.no_grad():
        expected, output = upstream.encode(x), upstream(x)
    assert 0 < (expected > 0).sum(1).min() < (expected > 0).sum(1).max(), "L0 differs by row"
    assert np.array_equal(dense > 0, expected.numpy() > 0)
    torch.testing.assert_close(torch.from_numpy(dense), expected)
    torch.testing.assert_close(coder.reconstruct(x), output)


def test_a_pretrained_coder_gets_its_site_and_keeps_its_bytes(hub, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    produce_pretrained(SETTINGS, out)
    assert (out / "params.npz").read_bytes() == (hub / "params.npz").read_bytes()
    assert read_json(out / "site.json") == {
        **CoderSite.at(12, "resid_post").as_dict(),
        "format": "gemma_scope",
    }
    local = SETTINGS | {"source": str(hub.parents[2]), "input_hook": "mlp_in"}
    assert (
        produce_pretrained(local | {"output_hook": "mlp_out_normed"}, out)["architecture"]
        == "transcoder"
    )
    assert load_coder(out).site == CoderSite.at(12, "mlp_in", "mlp_out_normed")


def test_unavailable_coder_is_one_line(hub, tmp_path):
    for wrong in ({"source": "nobody/nothing"}, {"path": "layer_12/width_16k/average_l0_1"}):
        with pytest.raises(
            LedgerError, match="neither a local folder nor is .*params.npz"
        ) as error:
            produce_pretrained(SETTINGS | wrong, tmp_path)
        assert "\n" not in str(error.value)
    with pytest.raises(LedgerError, match="params.npz is missing"):
        produce_pretrained(SETTINGS | {"source": str(tmp_path), "path": None}, tmp_path)
    with pytest.raises(LedgerError, match="scaled embeddings"):
        produce_pretrained(SETTINGS | {"path": "embedding/width_4k/average_l0_6"}, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": None}, "has exactly W_enc, W_dec, b_enc, b_dec, threshold"),
        ({"scaling_factor": np.ones(3)}, "holds .*scaling_factor.*, but"),
        ({"W_dec": np.zeros((WIDTH, D + 1))}, "do not fit each other"),
    ],
)
def test_a_folder_that_is_no_such_coder_is_refused(tmp_path, change, message):
    folder = gemma_scope_folder(tmp_path)
    arrays = gemma_scope_arrays() | change
    np.savez(folder / "params.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(LedgerError, match=message):
        load_coder(folder)


def test_a_cut_download_is_refused(tmp_path):
    folder = gemma_scope_folder(tmp_path)
    path = folder / "params.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(LedgerError, match="cannot be read"):
        load_coder(folder)
