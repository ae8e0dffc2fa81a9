"""A re-randomised model keeps what it says it keeps, and nothing else of what was learnt."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from latent_ledger.artifacts import references
from latent_ledger.lib.errors import LedgerError
from latent_ledger.models import language_model, randomise
from latent_ledger.models.sources.published import pin_folder
from latent_ledger.text.tokenizer import load_tokenizer
from tests.tiny_models import folder_digest

ENDS = {
    "neox": ["gpt_neox.embed_in.weight", "lm_head.weight"],
    "gemma2": ["model.embed_tokens.weight"],  # tied: the unembedding is the same matrix
}


def parameters(folder: Path) -> dict[str, torch.Tensor]:
    return dict(language_model.load_model(folder).named_parameters())


@pytest.fixture(params=ENDS)
def case(request) -> tuple[str, Path]:
    return request.param, request.getfixturevalue(request.param)


@pytest.mark.parametrize("keep", randomise.KEEPS)
def test_randomised_model_keeps_its_embeddings_and_redraws_all_else(case, keep, tmp_path):
    name, folder = case
    facts = randomise.produce({"keep": keep, "seed": 3}, folder, tmp_path)
    before, after = parameters(folder), parameters(tmp_path)
    assert before.keys() == after.keys()
    kept = ENDS[name] if keep == "embeddings" else []
    assert facts["kept"] == kept
    assert facts["parameters"] == sum(value.numel() for value in before.values())
    assert facts["redrawn"] == facts["parameters"] - sum(before[n].numel() for n in kept)
    for parameter, value in after.items():
        assert torch.equal(value, before[parameter]) == (parameter in kept), parameter
        if parameter in kept:
            continue
        if value.ndim == 2:  # drawn: normal with the configuration's 0.02, padding's row at zero
            rows = value[value.any(1)]
            assert len(rows) >= len(value) - 1
            assert float(rows.std()) == pytest.approx(0.02, rel=0.06), parameter
            assert abs(float(rows.mean())) < 0.002, parameter
        else:  # set: a layer norm's gain at one, Gemma's at 1 + zero, biases at zero
            gain = name == "neox" and parameter.endswith("norm.weight")
            assert torch.equal(value, torch.full_like(value, float(gain))), parameter


def test_the_model_runs_and_reads_the_same_tokens(case, tmp_path):
    _, folder = case
    randomise.produce({"keep": "embeddings", "seed": 0}, folder, tmp_path)
    ids, again = (
        load_tokenizer(where)("a text, read twice").input_ids for where in (folder, tmp_path)
    )
    assert ids == again
    batch = torch.tensor([ids])
    logits = [
        language_model.load_model(where)(input_ids=batch).logits for where in (folder, tmp_path)
    ]
    assert logits[0].shape == logits[1].shape
    assert torch.isfinite(logits[1]).all()
    assert not torch.allclose(*logits)


def test_a_seed_fixes_the_bytes_and_leaves_torchs_generator_alone(neox, tmp_path):
    digests = {}
    for name, seed in {"a": 0, "again": 0, "b": 1}.items():
        torch.manual_seed(len(name))  # whatever was drawn before
        state = torch.random.get_rng_state()
        randomise.produce({"keep": "embeddings", "seed": seed}, neox, tmp_path / name)
        assert torch.equal(torch.random.get_rng_state(), state)
        digests[name] = folder_digest(tmp_path / name)
    assert digests["a"] == digests["again"]
    assert digests["a"]["model.safetensors"] != digests["b"]["model.safetensors"]


def test_a_published_model_is_randomised_in_its_own_number_format(neox, tmp_path):
    published = tmp_path / "published"
    language_model.load_model(neox, "bfloat16").save_pretrained(published)
    load_tokenizer(neox).save_pretrained(published)
    reference = tmp_path / "reference"
    reference.mkdir()
    pin_folder({"source": str(published)}, {}, reference, Path)
    out = tmp_path / "out"
    facts = randomise.produce({"keep": "embeddings", "seed": 0}, reference, out)
    assert facts["kept"] == ENDS["neox"]
    assert not (out / references.REFERENCE).exists()
    assert randomise.native_dtype(out) == "bfloat16"
    model = parameters(out)
    torch.testing.assert_close(model[ENDS["neox"][0]], parameters(reference)[ENDS["neox"][0]])


def test_an_unknown_keep_is_named(neox, tmp_path):
    with pytest.raises(LedgerError, match="keeps embeddings or nothing, not 'norms'"):
        randomise.produce({"keep": "norms", "seed": 0}, neox, tmp_path / "out")
