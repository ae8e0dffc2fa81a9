"""sparsify coders as SparseCoders: the same numbers as sparsify, in sparse form."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.sparse import csr_matrix
from sparsify import SparseCoder, SparseCoderConfig

from latent_ledger.coders.formats.site_file import write_site
from latent_ledger.coders.formats.sparsify.fetch import produce_pretrained
from latent_ledger.coders.formats.sparsify.writer import save
from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import write_json
from latent_ledger.models.hook_points import CoderSite
from tests.tiny_models import folder_digest

SITES = {
    "sae": CoderSite.at(1, "resid_post"),
    "transcoder": CoderSite.at(1, "mlp_in", "mlp_out"),
    "skip-transcoder": CoderSite.at(1, "mlp_in", "mlp_out"),
}


def coder_folder(folder, architecture: str, *, d: int = 16, width: int = 64, k: int = 5):
    """A coder of `architecture` with every parameter random."""
    config = SparseCoderConfig(
        num_latents=width,
        k=k,
        transcode=architecture != "sae",
        skip_connection=architecture == "skip-transcoder",
    )
    torch.manual_seed(0)
    coder = SparseCoder(d, config)
    for parameter in coder.parameters():
        parameter.data = torch.randn(parameter.shape) / 4
    save(coder, SITES[architecture], folder)
    return folder


@pytest.mark.parametrize("architecture", SITES)
def test_encode_decode_equal_sparsify(architecture, tmp_path):
    coder, upstream = (
        load_coder(coder_folder(tmp_path, architecture)),
        SparseCoder.load_from_disk(tmp_path),
    )
    assert (coder.architecture, coder.site, coder.d_in, coder.width) == (
        architecture,
        SITES[architecture],
        16,
        64,
    )
    x = torch.randn(40, 16)
    indptr, indices, values = coder.encode(x)
    assert (indptr.dtype, indices.dtype, values.dtype) == (torch.int64, torch.int32, torch.float32)
    assert len(indptr) == 41
    assert int(indptr[-1]) == len(indices) == len(values)
    assert values.min() > 0
    dense = csr_matrix((values, indices, indptr), shape=(40, 64)).toarray()
    # The definition itself, b_dec subtracted for an SAE only.
    centred = x - upstream.b_dec if architecture == "sae" else x
    pre = torch.relu(centred @ upstream.encoder.weight.T + upstream.encoder.bias)
    kept = pre.topk(5)
    expected = torch.zeros(40, 64).scatter_(1, kept.indices, kept.values)
    torch.testing.assert_close(torch.from_numpy(dense), expected, rtol=1e-5, atol=1e-6)
    for row in range(40):
        latents = indices[indptr[row] : indptr[row + 1]]
        assert torch.equal(latents, latents.sort().values)

    with torch.no_grad():
        output = upstream(x, x).sae_out
    torch.testing.assert_close(coder.decode(indptr, indices, values, x), output)
    torch.testing.assert_close(coder.reconstruct(x), output)
    torch.testing.assert_close(coder.reconstruct(x.half()), coder.reconstruct(x.half().float()))


def test_rows_with_fewer_positive_latents_than_k(tmp_path):
    """An encoder of which two latents can fire: no zeros are stored, and empty rows decode."""
    coder = SparseCoder.load_from_disk(coder_folder(tmp_path, "transcoder"))
    coder.encoder.weight.data.zero_()
    coder.encoder.bias.data.fill_(-1.0)
    coder.encoder.weight.data[[7, 3], 0] = torch.tensor([2.0, 3.0])
    save(coder, SITES["transcoder"], tmp_path)
    x = torch.zeros(2, 16)
    x[1, 0] = 1.0
    loaded = load_coder(tmp_path)
    indptr, indices, values = loaded.encode(x)
    assert indptr.tolist() == [0, 0, 2]
    assert indices.tolist() == [3, 7]
    assert values.tolist() == [2.0, 1.0]
    y = loaded.reconstruct(x)
    torch.testing.assert_close(y[0], coder.b_dec)
    torch.testing.assert_close(y[1], coder.b_dec + 2 * coder.W_dec[3] + coder.W_dec[7])


def test_half_precision_weights_are_encoded_in_fp32(tmp_path):
    folder = coder_folder(tmp_path, "sae")
    weights = {name: value.half() for name, value in load_file(folder / "sae.safetensors").items()}
    save_file(weights, folder / "sae.safetensors")
    coder = load_coder(folder)
    assert coder.encode(torch.randn(3, 16))[2].dtype == torch.float32
    assert coder.reconstruct(torch.randn(3, 16)).dtype == torch.float32


def test_pretrained_coders_get_a_site_and_keep_their_weights(tmp_path):
    coder_folder(tmp_path / "hub" / "layers.1.mlp", "skip-transcoder")
    (tmp_path / "hub" / "layers.1.mlp" / "site.json").unlink()
    out = tmp_path / "out"
    out.mkdir()
    settings = {"source": str(tmp_path / "hub"), "path": "layers.1.mlp"}
    settings |= {"layer": 1, "input_hook": "mlp_in", "output_hook": "mlp_out"}
    facts = produce_pretrained(settings, out)
    assert facts == {"architecture": "skip-transcoder", "d_in": 16, "width": 64, "k": 5}
    source, copy = folder_digest(tmp_path / "hub" / "layers.1.mlp"), folder_digest(out)
    assert copy["sae.safetensors"] == source["sae.safetensors"]
    assert load_coder(out).site == SITES["skip-transcoder"]

    with pytest.raises(LedgerError, match="transcoder must write another hook point"):
        produce_pretrained(settings | {"output_hook": "mlp_in"}, tmp_path)
    with pytest.raises(LedgerError, match="neither a local folder nor"):
        produce_pretrained(settings | {"source": "nobody/nothing"}, tmp_path)
    with pytest.raises(LedgerError, match="cfg.json is missing"):
        produce_pretrained(settings | {"path": None}, tmp_path)


def test_coder_at_a_site_of_another_kind_is_refused(tmp_path):
    folder = coder_folder(tmp_path, "sae")
    write_site(folder, "sparsify", SITES["transcoder"])
    with pytest.raises(LedgerError, match="sae must write the hook point it reads"):
        load_coder(folder)
    write_json(folder / "site.json", {"layer": 1})
    with pytest.raises(LedgerError, match="lacks format, input_hook, output_hook"):
        load_coder(folder)
    write_json(folder / "site.json", SITES["sae"].as_dict() | {"format": "stone"})
    with pytest.raises(LedgerError, match="unknown coder format 'stone'; known: gemma_"):
        load_coder(folder)
    write_json(folder / "site.json", SITES["sae"].as_dict())
    with pytest.raises(LedgerError, match="lacks format"):
        load_coder(folder)  # a folder that does not say its format is of no format
    (folder / "site.json").unlink()
    with pytest.raises(LedgerError, match="site.json does not exist"):
        load_coder(folder)


def test_the_registry_imports_nothing_heavy():
    code = (
        "import sys, latent_ledger.coders.sparse_coder;"
        "from latent_ledger.coders.formats import recognition, registry;"
        "from latent_ledger.coders.training.architectures import registry as architectures;"
        "assert all(recognition.entry(name).name == name for name in registry.NAMES);"
        "assert not {'torch', 'sparsify', 'sae_lens', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
