"""The gate of the SAELens adapter, its wrong variant, and a check that cannot fail."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from latent_ledger.coders.formats.sparsify import saelens
from latent_ledger.coders.topk_transcoder import TopKSkipTranscoder
from latent_ledger.evaluations.gates import fidelity, saelens_fidelity
from latent_ledger.evaluations.gates.fidelity import Agreement
from latent_ledger.lib.errors import GateError
from latent_ledger.lib.files import read_json
from tests.coders.coder_folders import SITES, D, gemma_scope_folder, sparsify_folder
from tests.coders.shard_folders import synthetic

SETTINGS = {"coder": "one", "random_rows": 100, "real_rows": 150, "seed": 0}


@pytest.fixture
def gate(tmp_path):
    """Runs the gate on the coder in ``tmp_path / "coder"``."""

    def run(architecture: str) -> dict:
        generator = torch.Generator().manual_seed(5)
        values = 3 * torch.randn(200, D, generator=generator) + 1
        acts = synthetic(
            tmp_path / "acts", values, context=10, hook_point=str(SITES[architecture].input_hook)
        )
        (tmp_path / "out").mkdir()
        return saelens_fidelity.produce(SETTINGS, acts, tmp_path / "coder", tmp_path / "out")

    return run


def scale_b_dec(folder, factor: float) -> None:
    weights = load_file(folder / "sae.safetensors")
    weights["b_dec"] *= factor
    save_file(weights, folder / "sae.safetensors")


@pytest.mark.parametrize("architecture", SITES)
def test_adapted_coders_pass(architecture, tmp_path, gate):
    sparsify_folder(tmp_path / "coder", architecture)
    facts = gate(architecture)
    metrics = read_json(tmp_path / "out" / "metrics.json")["metrics"]
    estimates = {metric["name"]: metric["estimate"] for metric in metrics}
    assert estimates["jaccard"] == estimates["jaccard_random"] == estimates["jaccard_real"] == 1.0
    assert max(estimates[name] for name in estimates if "error" in name) < 1e-6
    assert ("wrong_variant" in facts) is (architecture == "sae")


@pytest.mark.parametrize("architecture", ["sae", "transcoder"])
def test_gemma_scope_coders_pass(architecture, tmp_path, gate):
    gemma_scope_folder(tmp_path / "coder", architecture)
    assert gate(architecture)["rows"] == {"random": 100, "real": 150}


@pytest.mark.parametrize("fault", ["b_dec", "threshold"])
def test_a_faulty_gemma_scope_adapter_is_a_gate_error(fault, tmp_path, gate, monkeypatch):
    """Subtracting b_dec, and forgetting the thresholds: two ways to be nearly JumpReLU."""
    gemma_scope_folder(tmp_path / "coder", "sae")
    to_saelens = saelens_fidelity.to_saelens

    def faulty(folder, **options):
        sae = to_saelens(folder, **options)
        if fault == "b_dec":
            sae.cfg.apply_b_dec_to_input = True
        else:
            sae.threshold.data.zero_()
        return sae

    monkeypatch.setattr(saelens_fidelity, "to_saelens", faulty)
    with pytest.raises(GateError, match=r"^encode fidelity, Jaccard 0\.\d\d \("):
        gate("sae")


def test_the_wrong_variant_fails_in_the_same_run(tmp_path, gate):
    sparsify_folder(tmp_path / "coder", "sae")
    wrong = gate("sae")["wrong_variant"]
    assert wrong["fails"] is True
    assert all(0 < jaccard < 0.9 for jaccard in wrong["jaccard"].values())
    assert wrong["b_dec_norm"] > 0.1


def test_a_flipped_adapter_is_a_gate_error(tmp_path, gate, monkeypatch):
    sparsify_folder(tmp_path / "coder", "sae")
    monkeypatch.setattr(saelens, "APPLY_B_DEC_TO_INPUT", False)
    with pytest.raises(GateError, match=r"^encode fidelity, Jaccard 0\.\d\d \(") as error:
        gate("sae")
    assert "sae_lens.TopKSAE made by coders/formats/sparsify/saelens.py does not encode as our" in (
        str(error.value)
    )
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_an_adapter_without_the_skip_is_a_gate_error(tmp_path, gate, monkeypatch):
    sparsify_folder(tmp_path / "coder", "skip-transcoder")
    monkeypatch.setattr(TopKSkipTranscoder, "forward", lambda self, x: self.decode(self.encode(x)))
    with pytest.raises(GateError, match="^encode fidelity, output off by"):
        gate("skip-transcoder")


def test_variants_without_b_dec_are_reported_as_indistinguishable(tmp_path, gate):
    sparsify_folder(tmp_path / "coder", "sae")
    scale_b_dec(tmp_path / "coder", 0.0)
    assert gate("sae")["wrong_variant"] == {
        "option": "apply_b_dec_to_input=False",
        "fails": False,
        "jaccard": {"random": 1.0, "real": 1.0},
        "b_dec_norm": 0.0,
    }


def test_a_check_that_cannot_fail_is_a_gate_error(tmp_path, gate, monkeypatch):
    """As if the comparison looked away: b_dec matters, and yet everything agrees."""
    sparsify_folder(tmp_path / "coder", "sae")
    blind = lambda coder, other, x, device: Agreement(len(x), len(x), 0, 1.0, 0.0, 0.0, 0.0)  # noqa: E731
    monkeypatch.setattr(fidelity, "compare", blind)
    with pytest.raises(GateError, match="^encode fidelity, the wrong variant .* passes on random"):
        gate("sae")
