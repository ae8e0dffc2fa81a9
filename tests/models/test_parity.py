"""The gate agrees with TransformerLens where the hook points are right, and stops where they are
not.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from latent_ledger.lib.errors import GateError, LedgerError
from latent_ledger.lib.files import read_json, write_json
from latent_ledger.models import capture as capturing
from latent_ledger.models import hooks, parity
from latent_ledger.models.hook_points import HookPoint, HookPointName
from tests.tiny_models import (
    byte_tokenizer,
    example_tokens,
    folder_digest,
    packed_tokens,
    randomise,
)

SETTINGS = {
    "dtype": "float32",
    "batch": 4,
    "shard_tokens": 1000,
    "parity_tolerance": 1e-4,
    "model_dtype": "float32",
}
ALL = [HookPoint(layer, point) for layer in range(3) for point in HookPointName]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return example_tokens(tmp_path / "tokens", lengths=[7, 16, 3, 11, 16], context=16)


def capture(model: Path, tokens: Path, root: Path, wanted=ALL, **changed) -> dict[HookPoint, dict]:
    outs = {hook_point: root / str(hook_point) for hook_point in wanted}
    for out in outs.values():
        out.mkdir(parents=True)
    return capturing.capture(SETTINGS | changed, model, tokens, outs)


def save(network, folder: Path) -> Path:
    randomise(network, seed=1)
    network.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", ["neox", "gemma2"])
@pytest.mark.parametrize("model_dtype", ["float32", "bfloat16", "float16"])
def test_every_hook_point_is_transformer_lens_value(name, model_dtype, tokens, tmp_path, request):
    model = request.getfixturevalue(name)
    facts = capture(model, tokens, tmp_path / "acts", model_dtype=model_dtype)
    for hook_point, fact in facts.items():
        record = fact["parity"]
        assert record["relative_error"] <= record["bound"]
        assert record["hook"] == parity.hook_name(hook_point)
        assert record["against"] == (
            f"transformer_lens {version('transformer-lens')} TransformerBridge"
        )
        assert read_json(tmp_path / "acts" / str(hook_point) / "meta.json")["parity"] == record
    bounds = {fact["parity"]["bound"] for fact in facts.values()}
    assert bounds == {{"float32": 1e-4, "float16": 2**-6, "bfloat16": 2**-3}[model_dtype]}


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_other_architectures_pass_too(name, tokens, tmp_path):
    sizes = {"vocab_size": 259, "bos_token_id": 256, "eos_token_id": 257}
    if name == "gpt2":
        network = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=3, n_head=4, **sizes))
    else:
        network = LlamaForCausalLM(
            LlamaConfig(
                hidden_size=32,
                num_hidden_layers=3,
                num_attention_heads=4,
                intermediate_size=64,
                **sizes,
            )
        )
    capture(save(network, tmp_path / name), tokens, tmp_path / "acts")


def test_an_unknown_architecture_says_where_to_add_it():
    network = BloomForCausalLM(BloomConfig(vocab_size=32, hidden_size=8, n_layer=1, n_head=2))
    with pytest.raises(LedgerError, match=r"'bloom' is not known.*LAYOUTS in .*hooks.py"):
        hooks.locate(network, HookPoint(0, "mlp_out"))


def test_the_mlp_output_before_the_post_norm_is_not_the_one_behind_it(
    gemma2, tokens, tmp_path, monkeypatch
):
    monkeypatch.setitem(hooks.LAYOUTS, "gemma2", hooks.Layout("model.layers", post_norm=None))
    with pytest.raises(GateError, match=r"^hook-point parity: layers.1.mlp_out_normed differs"):
        capture(
            gemma2,
            tokens,
            tmp_path / "a",
            [HookPoint(1, "mlp_out"), HookPoint(1, "mlp_out_normed")],
        )
    norm = "post_feedforward_layernorm"
    monkeypatch.setitem(hooks.LAYOUTS, "gemma2", hooks.Layout("model.layers", norm, norm))
    with pytest.raises(GateError, match=r"^hook-point parity: layers.1.mlp_out differs"):
        capture(
            gemma2,
            tokens,
            tmp_path / "b",
            [HookPoint(1, "mlp_out"), HookPoint(1, "mlp_out_normed")],
        )
    assert not list(tmp_path.rglob("acts-*"))


@pytest.mark.parametrize("name", ["neox", "gemma2"])
@pytest.mark.parametrize("point", list(HookPointName))
def test_an_off_by_one_layer_is_caught_at_every_point_even_in_bfloat16(
    name, point, tokens, tmp_path, request, monkeypatch
):
    locate = hooks.locate
    monkeypatch.setattr(
        hooks,
        "locate",
        lambda model, hook_point: locate(model, HookPoint(hook_point.layer + 1, hook_point.point)),
    )
    with pytest.raises(GateError, match=rf"^hook-point parity: layers.1.{point} differs"):
        capture(
            request.getfixturevalue(name),
            tokens,
            tmp_path / "acts",
            [HookPoint(1, point)],
            model_dtype="bfloat16",
        )


def test_rows_in_the_wrong_order_are_caught(neox, tokens, tmp_path, monkeypatch):
    right = capturing.real_rows
    monkeypatch.setattr(capturing, "real_rows", lambda value, real: right(value, real).flip(0))
    with pytest.raises(GateError, match=r"layers.0.resid_pre differs"):
        capture(neox, tokens, tmp_path / "acts", [HookPoint(0, "resid_pre")])


def test_contexts_without_bos_are_caught(neox, tmp_path):
    tokens = packed_tokens(tmp_path / "tokens")
    write_json(tokens / "meta.json", read_json(tokens / "meta.json") | {"bos_id": 7})
    with pytest.raises(GateError, match=r"not every context starts with BOS \(7\)"):
        capture(neox, tokens, tmp_path / "acts", [HookPoint(0, "resid_pre")])


def test_token_ids_that_do_not_belong_to_their_positions_are_caught(tmp_path):
    tokens = capturing.TokenSet(packed_tokens(tmp_path / "tokens")).read(2, 5)
    columns = capturing.side_columns(tokens, first_context=2)
    parity.check_rows(columns, tokens["input_ids"], 2, 256)
    columns["token_ids"] = columns["token_ids"].roll(1)
    with pytest.raises(GateError, match="token ids of the shard do not equal"):
        parity.check_rows(columns, tokens["input_ids"], 2, 256)


def test_the_error_is_per_row_so_a_giant_position_hides_nothing():
    theirs = torch.ones(4, 9)
    theirs[0] *= 1000.0  # BOS
    theirs[3] = 0.0
    ours = theirs.clone()
    assert parity.relative_error(ours, theirs) == 0.0
    ours[1, 0] += 0.3  # |row| = 3, so a tenth; against the whole batch it would be 1e-4
    assert parity.relative_error(ours, theirs) == pytest.approx(0.1)
    ours[1, 0] -= 0.3
    ours[3, 0] = 0.03  # a row of zeros is judged by the median norm, 3
    assert parity.relative_error(ours, theirs) == pytest.approx(0.01)
    ours[2, 0] = torch.nan
    record = {HookPoint(0, "mlp_in"): ours}, {HookPoint(0, "mlp_in"): theirs[None]}
    with pytest.raises(GateError, match="layers.0.mlp_in differs"):
        parity.gate(*record, torch.ones(1, 4, dtype=torch.bool), dtype="float32", tolerance=1e-4)


def test_the_record_is_deterministic(neox, tokens, tmp_path):
    for name in "ab":
        capture(neox, tokens, tmp_path / name)
    assert folder_digest(tmp_path / "a") == folder_digest(tmp_path / "b")
