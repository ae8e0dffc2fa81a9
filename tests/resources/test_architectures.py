"""Parameter counts equal the published ones, and caches those computed by hand."""

import json

import pytest

from latent_ledger.config.reading import read_yaml
from latent_ledger.resources.architectures import (
    Architecture,
    architecture_of_model,
    architecture_of_source,
    published,
)
from tests.project import PROJECT

COUNTS = {
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "Qwen/Qwen2.5-3B-Instruct": 3_085_938_688,
    "google/gemma-2-2b": 2_614_341_888,
    "EleutherAI/pythia-70m-deduped": 70_426_624,
    "EleutherAI/pythia-160m-deduped": 162_322_944,
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_equal_the_published_ones(name):
    assert published()[name].parameters == COUNTS[name]


@pytest.mark.parametrize("name", ["Qwen/Qwen2.5-7B-Instruct", "google/gemma-2-2b"])
def test_the_cache_of_one_token_by_hand(name):
    by_hand = {
        "Qwen/Qwen2.5-7B-Instruct": 2 * 28 * 4 * 128 * 2,  # 56 KiB
        "google/gemma-2-2b": 2 * 26 * 4 * 256 * 2,
    }[name]
    assert published()[name].cache_bytes("bfloat16") == by_hand
    if "Qwen" in name:
        assert by_hand == 56 * 1024
        assert by_hand * 5120 == 280 * 1024**2


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt_neox", "gemma2", "gemma", "mistral"])
def test_counts_equal_those_of_transformers_own_model(family):
    """Every family against the model that transformers builds from the same numbers."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    numbers = {
        "hidden_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 80,
        "vocab_size": 101,
        "pad_token_id": 0,
    }
    if family != "gpt_neox":
        numbers |= {"num_key_value_heads": 2, "head_dim": 16}
    made = AutoConfig.for_model(family, **numbers)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(made)
    # what save_pretrained writes leaves out what equals the family's default
    ours = Architecture.from_config(made.to_diff_dict() | {"model_type": family})
    assert ours.parameters == sum(p.numel() for p in model.parameters())


def test_a_pass_that_stops_early_has_no_unembedding():
    gemma = published()["google/gemma-2-2b"]
    assert gemma.operations(13) == 2 * 13 * gemma.block_parameters
    assert gemma.operations() == 2 * (26 * gemma.block_parameters + 256_000 * 2304)


def test_a_local_folder_is_read_and_an_unknown_model_is_none(tmp_path):
    numbers = {
        "model_type": "llama",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "vocab_size": 100,
    }
    (tmp_path / "config.json").write_text(json.dumps(numbers))
    assert architecture_of_source(str(tmp_path)).layers == 2
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.json").write_text(json.dumps(numbers | {"model_type": "mamba"}))
    assert architecture_of_source(str(tmp_path / "other")) is None
    assert architecture_of_source("nobody/knows-this") is None


def test_a_cached_config_goes_before_the_table(tmp_path, monkeypatch):
    """A hub model that was fetched is what its file says."""
    folder = tmp_path / "hub/models--someone--new/snapshots/main"
    folder.mkdir(parents=True)
    numbers = {
        "model_type": "qwen2",
        "hidden_size": 64,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "vocab_size": 100,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(numbers))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert architecture_of_source("someone/new").layers == 5


def test_the_embedded_model_has_the_size_it_is_trained_with():
    tiny = read_yaml(PROJECT / "config/tiny.yaml")
    architecture = architecture_of_model(tiny["model"])
    assert (architecture.layers, architecture.width, architecture.vocabulary) == (4, 128, 2048)
    # 2 tables of 2048 x 128, 4 blocks of 12 d^2 + 13 d, and the last norm
    assert architecture.parameters == 2 * 2048 * 128 + 4 * (12 * 128**2 + 13 * 128) + 2 * 128
