"""The gate of loaders against the libraries, on random and real activations and wrong loaders."""

from __future__ import annotations

import pytest
import torch

from latent_ledger.coders.formats.gemma_scope.loader import GemmaScopeCoder
from latent_ledger.coders.formats.sparsify.loader import SparsifyCoder
from latent_ledger.evaluations.gates import reader_fidelity
from latent_ledger.lib.errors import GateError
from latent_ledger.lib.files import read_json
from tests.coders.coder_folders import SITES, D, gemma_scope_folder, sparsify_folder
from tests.coders.shard_folders import synthetic
from tests.tiny_models import folder_digest

SETTINGS = {"coder": "one", "random_rows": 100, "real_rows": 150, "seed": 0}


def gate(tmp_path, architecture: str, make=sparsify_folder, name: str = "out"):
    """Run the gate on a coder of `architecture`; its facts and folder."""
    coder, acts, out = tmp_path / "coder", tmp_path / "acts", tmp_path / name
    if not coder.exists():
        make(coder, architecture)
        generator = torch.Generator().manual_seed(5)
        values = 3 * torch.randn(200, D, generator=generator) + 1
        synthetic(acts, values, context=10, hook_point=str(SITES[architecture].input_hook))
    out.mkdir()
    return reader_fidelity.produce(SETTINGS, acts, coder, out), out


@pytest.mark.parametrize("architecture", SITES)
def test_loader_equals_sparsify(architecture, tmp_path):
    facts, out = gate(tmp_path, architecture)
    assert facts == {
        "coder": "one",
        "against": "sparsify.SparseCoder",
        "rows": {"random": 100, "real": 150},
        "tied_rows": 0,
    }
    by = {metric["name"]: metric for metric in read_json(out / "metrics.json")["metrics"]}
    assert by["jaccard_random"]["estimate"] == by["jaccard_real"]["estimate"] == 1.0
    assert by["output_error_real"]["estimate"] < 1e-6
    assert folder_digest(gate(tmp_path, architecture, name="again")[1]) == folder_digest(out)


@pytest.mark.parametrize("architecture", ["sae", "transcoder"])
def test_gemma_scope_loader_equals_saelens(architecture, tmp_path):
    facts, _ = gate(tmp_path, architecture, make=gemma_scope_folder)
    assert (
        facts["against"] == f"sae_lens.JumpReLU{'SAE' if architecture == 'sae' else 'Transcoder'}"
    )


def test_a_reader_that_subtracts_b_dec_from_a_transcoders_input_is_caught(tmp_path, monkeypatch):
    """The convention of checkpoints from before February 2025."""
    encode = SparsifyCoder.encode
    wrong = lambda self, x: encode(self, x - self.weights["b_dec"])  # noqa: E731
    monkeypatch.setattr(SparsifyCoder, "encode", wrong)
    with pytest.raises(GateError, match=r"^encode fidelity, Jaccard 0\.\d\d .* on random") as error:
        gate(tmp_path, "transcoder")
    assert "does not encode as sparsify.SparseCoder does" in str(error.value)


def test_a_reader_that_drops_the_skip_is_caught(tmp_path, monkeypatch):
    decode = SparsifyCoder.decode
    monkeypatch.setattr(
        SparsifyCoder, "decode", lambda self, *csr: decode(self, *csr[:3], 0 * csr[3])
    )
    with pytest.raises(GateError, match="^encode fidelity, output off by"):
        gate(tmp_path, "skip-transcoder")


def test_a_gemma_scope_reader_that_subtracts_b_dec_is_caught(tmp_path, monkeypatch):
    encode = GemmaScopeCoder.encode
    wrong = lambda self, x: encode(self, x - self.weights["b_dec"])  # noqa: E731
    monkeypatch.setattr(GemmaScopeCoder, "encode", wrong)
    with pytest.raises(GateError, match="^encode fidelity, Jaccard 0"):
        gate(tmp_path, "sae", make=gemma_scope_folder)
