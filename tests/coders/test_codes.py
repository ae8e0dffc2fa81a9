"""Codes: every row encoded as defined, whatever the blocks, shards and stored precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from latent_ledger.coders import codes
from latent_ledger.coders.codes import CodeShards, encode_rows
from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.models.shards import ActivationShards
from tests.coders.formats.test_sparsify import coder_folder
from tests.coders.shard_folders import synthetic
from tests.tiny_models import folder_digest

TAP = "layers.1.resid_post"


def activations(folder, rows: int = 320, dtype: torch.dtype = torch.float16):
    values = torch.randn(rows, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
    return synthetic(folder, values, context=16, hook_point=TAP), values


def test_codes_are_the_hand_computed_top_k(tmp_path):
    acts, values = activations(tmp_path / "acts")
    coder = coder_folder(tmp_path / "coder", "sae")
    (tmp_path / "codes").mkdir()
    facts = codes.produce({}, acts, coder, tmp_path / "codes")

    weights = {name: w.numpy() for name, w in load_file(coder / "sae.safetensors").items()}
    x = values.float().numpy().astype(np.float64)
    pre = (x - weights["b_dec"]) @ weights["encoder.weight"].T + weights["encoder.bias"]
    expected = np.zeros_like(pre)
    for row, latents in enumerate(pre):
        for latent in np.argsort(-latents)[:5]:
            expected[row, latent] = max(latents[latent], 0.0)

    written = CodeShards(tmp_path / "codes")
    matrix = written.matrix()
    assert matrix.shape == (320, 64) == (len(written), written.width)
    np.testing.assert_allclose(matrix.toarray(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(matrix.toarray() > 0, expected > 0)
    assert matrix.dtype == np.float32
    assert matrix.data.min() > 0
    assert matrix.has_sorted_indices

    assert facts["n_rows"] == 320
    assert facts["mean_l0"] == pytest.approx((expected > 0).sum(1).mean())
    assert facts["dead"] == int((expected.sum(0) == 0).sum())
    assert facts["alive"] + facts["dead"] == 64

    # Row boundaries are the activations', so one walks both side by side.
    rows = [len(shard["positions"]) for shard in ActivationShards(acts).shards()]
    assert [shard.shape[0] for shard in written.shards()] == rows == written.meta["shards"]
    assert len(rows) == 3
    assert read_json(tmp_path / "codes" / "meta.json") == {
        "width": 64,
        "n_rows": 320,
        "shards": rows,
    }


def test_codes_do_not_depend_on_the_block_size(tmp_path):
    coder = load_coder(coder_folder(tmp_path, "sae"))
    x = torch.randn(301, 16)
    whole = encode_rows(coder, x, 4096)
    for block_rows in (1, 7, 64, 301):
        indptr, indices, values = encode_rows(coder, x, block_rows)
        assert torch.equal(indptr, whole[0])
        assert torch.equal(indices, whole[1])
        torch.testing.assert_close(values, whole[2], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_stored_precision_is_upcast_before_encoding(dtype, tmp_path):
    acts, values = activations(tmp_path / "acts", dtype=dtype)
    coder = coder_folder(tmp_path / "coder", "sae")
    outs = [tmp_path / name for name in ("a", "b")]
    for out in outs:
        out.mkdir()
        codes.produce({}, acts, coder, out)
    assert folder_digest(outs[0]) == folder_digest(outs[1])
    indptr, indices, numbers = load_coder(coder).encode(values.float())
    matrix = CodeShards(outs[0]).matrix()
    assert np.array_equal(matrix.indices, indices.numpy())
    assert np.array_equal(matrix.indptr, indptr.numpy())
    np.testing.assert_allclose(matrix.data, numbers.numpy(), rtol=1e-6)


def test_activations_that_do_not_fit_the_coder_are_refused(tmp_path):
    acts, _ = activations(tmp_path / "acts")
    sae = coder_folder(tmp_path / "sae", "sae")
    transcoder = coder_folder(tmp_path / "transcoder", "transcoder")
    wide = coder_folder(tmp_path / "wide", "sae", d=8)
    with pytest.raises(LedgerError, match="reads layers.1.mlp_in"):
        codes.produce({}, acts, transcoder, tmp_path)
    with pytest.raises(LedgerError, match="reads 8 dimensions"):
        codes.produce({}, acts, wide, tmp_path)
    with pytest.raises(LedgerError, match="no settings, but got batch"):
        codes.produce({"batch": 3}, acts, sae, tmp_path)
    (tmp_path / "codes").mkdir()
    codes.produce({}, acts, sae, tmp_path / "codes")
    (tmp_path / "codes" / "codes-00001.safetensors").unlink()
    with pytest.raises(LedgerError, match="codes-00001.safetensors is missing"):
        CodeShards(tmp_path / "codes").matrix()
