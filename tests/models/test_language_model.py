"""Models and references: loaded to be read, pinned to the bit, refused in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from latent_ledger.artifacts import references
from latent_ledger.lib.errors import CorruptPayload, LedgerError
from latent_ledger.lib.files import read_json, sha256_file
from latent_ledger.models import language_model
from latent_ledger.models.sources.registry import source_of
from latent_ledger.text.tokenizer import load_tokenizer
from tests.tiny_models import gemma2_folder, neox_folder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def neox(tmp_path_factory) -> Path:
    return neox_folder(tmp_path_factory.mktemp("neox"))


@pytest.fixture
def copy(neox, tmp_path) -> Path:
    """A copy of the model that a test may damage."""
    return Path(shutil.copytree(neox, tmp_path / "copy"))


@pytest.fixture
def hub_cache(neox, tmp_path, monkeypatch) -> Path:
    """The hub's local cache, holding owner/tiny at one commit, as huggingface_hub lays it out."""
    cache = tmp_path / "hub"
    repository = cache / "models--owner--tiny"
    snapshot = repository / "snapshots" / COMMIT
    (repository / "blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for path in neox.iterdir():
        blob = repository / "blobs" / sha256_file(path)
        shutil.copy(path, blob)
        (snapshot / path.name).symlink_to(blob)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    return snapshot


def logits(model) -> torch.Tensor:
    return model(input_ids=torch.arange(20).reshape(2, 10)).logits


@pytest.mark.parametrize("build", [neox_folder, gemma2_folder])
def test_loaded_model_is_in_eval_mode_without_gradients(tmp_path, build):
    folder = build(tmp_path)
    model = language_model.load_model(folder)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.config._attn_implementation == "eager"
    assert model.dtype == torch.float32
    expected = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    assert torch.equal(logits(model), logits(expected))
    assert model.config.num_hidden_layers == len(model.base_model.layers) == 3
    assert language_model.load_model(folder, dtype="bfloat16").dtype == torch.bfloat16
    assert load_tokenizer(folder).decode([72, 105]) == load_tokenizer(tmp_path).decode([72, 105])


def test_unknown_dtype_names_the_nearest(neox):
    with pytest.raises(LedgerError, match="'fp32'; the nearest is 'float32'"):
        language_model.load_model(neox, dtype="fp32")


def test_missing_weights_are_never_filled_with_random_numbers(copy):
    weights = load_file(copy / "model.safetensors")
    lost = next(name for name in weights if name.endswith("layers.1.mlp.dense_h_to_4h.weight"))
    del weights[lost]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LedgerError, match="lack 1 tensors .*layers.1.mlp.dense_h_to_4h.weight"):
        language_model.load_model(copy)


def test_folder_without_a_model_is_one_line(tmp_path):
    for load in (language_model.load_model, load_tokenizer):
        with pytest.raises(LedgerError, match="holds no") as caught:
            load(tmp_path)
        assert "\n" not in str(caught.value)


# --- references ----------------------------------------------------------------------------------


def produce(settings: dict, out: Path) -> dict:
    """The reference of a published model, as its job writes it."""
    return source_of(settings["source"]).produce(settings, {}, out, lambda: out)


def reference(source: str, tmp_path: Path, **settings) -> Path:
    out = tmp_path / "reference"
    out.mkdir()
    facts = produce({"source": source, **settings}, out)
    assert read_json(out / "reference.json") == facts
    assert sorted(path.name for path in out.iterdir()) == ["reference.json"]
    return out


def test_a_local_reference_loads_the_same_model(copy, neox, tmp_path):
    (copy / "optimizer.pt").write_bytes(b"not part of the model")
    folder = reference(str(copy), tmp_path, revision="ignored")
    facts = read_json(folder / "reference.json")
    assert facts["revision"] is None
    assert facts["files"]["model.safetensors"] == sha256_file(neox / "model.safetensors")
    assert set(facts["files"]) >= {"config.json", "tokenizer.json"}
    assert "optimizer.pt" not in facts["files"]
    assert torch.equal(
        logits(language_model.load_model(folder)), logits(language_model.load_model(neox))
    )
    assert load_tokenizer(folder).bos_token == "<bos>"


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_changed_file_is_named_and_never_used(copy, tmp_path, name):
    folder = reference(str(copy), tmp_path)
    content = bytearray((copy / name).read_bytes())
    content[-2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(CorruptPayload, match=f"The file {name} .* changed"):
        language_model.load_model(folder)
    (copy / name).unlink()
    with pytest.raises(CorruptPayload, match=f"lost its file {name}"):
        load_tokenizer(folder)


def test_files_are_hashed_once_per_process(copy, tmp_path, monkeypatch):
    folder = reference(str(copy), tmp_path)
    language_model.load_model(folder)
    monkeypatch.setattr(references, "sha256_file", lambda path: pytest.fail(f"hashed {path} again"))
    language_model.load_model(folder)


def test_a_hub_reference_is_read_from_the_cache(hub_cache, neox, tmp_path):
    folder = reference("owner/tiny", tmp_path, revision="main")
    facts = read_json(folder / "reference.json")
    assert facts["source"] == "owner/tiny"
    assert facts["revision"] == COMMIT  # a branch moves; the commit does not
    assert torch.equal(
        logits(language_model.load_model(folder)), logits(language_model.load_model(neox))
    )
    blob = (hub_cache / "model.safetensors").resolve()
    blob.write_bytes(blob.read_bytes()[:-4] + b"oops")
    with pytest.raises(CorruptPayload, match=r"model.safetensors of the model owner/tiny changed"):
        language_model.load_model(folder)


def test_an_evicted_snapshot_says_what_to_type(hub_cache, tmp_path):
    folder = reference("owner/tiny", tmp_path)
    (hub_cache / "model.safetensors").unlink()
    with pytest.raises(LedgerError, match=r"model.safetensors|hf download owner/tiny"):
        language_model.load_model(folder)


@pytest.mark.parametrize(
    ("source", "revision", "line"),
    [
        ("owner/absent", None, r"owner/absent \(revision main\) is not in the local cache"),
        ("owner/tiny", "v9", r"owner/tiny \(revision v9\) is not in the local cache"),
        ("./nowhere", None, "the folder ./nowhere does not exist"),
        ("a/b/c", None, 'write "embedded", a hub id as owner/name, or a folder as ./name'),
    ],
)
def test_unavailable_model_is_one_line(hub_cache, tmp_path, source, revision, line):
    with pytest.raises(LedgerError, match=line) as caught:
        produce({"source": source, "revision": revision}, tmp_path)
    assert "\n" not in str(caught.value)


def test_refusals_of_the_hub_say_what_to_type(monkeypatch, tmp_path):
    import httpx

    def refuse(error):
        response = httpx.Response(403, request=httpx.Request("GET", "https://hub"))

        def snapshot_download(*_, **__):
            raise error("long\nexplanation", response=response)

        return snapshot_download

    for error, line in {
        references.GatedRepoError: "is gated: accept its licence .* `hf auth login`",
        references.RepositoryNotFoundError: "no model 'google/gemma-2-2b', or it is private",
        references.RevisionNotFoundError: "has no revision 'v9'",
        references.HfHubHTTPError: "hub cannot be reached",
    }.items():
        monkeypatch.setattr(references, "snapshot_download", refuse(error))
        with pytest.raises(LedgerError, match=line) as caught:
            produce({"source": "google/gemma-2-2b", "revision": "v9"}, tmp_path)
        assert "\n" not in str(caught.value)


def test_a_folder_without_weights_is_no_reference(copy, tmp_path):
    (copy / "model.safetensors").unlink()
    with pytest.raises(LedgerError, match="config.json and model.safetensors are expected"):
        produce({"source": str(copy)}, tmp_path)
