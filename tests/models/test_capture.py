"""Capture and reader: the right values, in the right rows, in bounded memory, to the same bytes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from latent_ledger.lib.errors import LedgerError
from latent_ledger.models import capture as capturing
from latent_ledger.models import hooks, language_model, shards
from latent_ledger.models.capture import TokenSet, capture
from latent_ledger.models.hook_points import HookPoint, HookPointName
from latent_ledger.models.shards import ActivationShards
from latent_ledger.text.tokenizer import load_tokenizer
from tests.project import PROJECT
from tests.tiny_models import DAMAGE, PAD, example_tokens, flip_a_bit, folder_digest, packed_tokens

SETTINGS = {
    "dtype": "float32",
    "batch": 4,
    "shard_tokens": 70,
    "parity_tolerance": 1e-4,
    "model_dtype": "float32",
}
ALL = [HookPoint(layer, point) for layer in range(3) for point in HookPointName]
KILLED = [HookPoint(1, "mlp_in"), HookPoint(1, "mlp_out"), HookPoint(2, "resid_post")]
LENGTHS = [3, 16, 9, 1, 12, 16, 2]


def folders(root: Path, wanted: list[HookPoint]) -> dict[HookPoint, Path]:
    outs = {hook_point: root / str(hook_point) for hook_point in wanted}
    for out in outs.values():
        out.mkdir(parents=True)
    return outs


def run(root: Path, model: Path, tokens: Path, wanted: list[HookPoint], **changed) -> dict:
    """Capture and return a reader by hook point."""
    outs = folders(root, wanted)
    capture(SETTINGS | changed, model, tokens, outs)
    return {hook_point: ActivationShards(out) for hook_point, out in outs.items()}


@pytest.fixture(params=["neox-packed", "gemma2-examples"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """A model and a token set: every architecture and every layout once."""
    name, layout = request.param.split("-")
    if layout == "packed":
        tokens = packed_tokens(tmp_path / "tokens", contexts=10, context=16)
    else:
        tokens = example_tokens(tmp_path / "tokens", lengths=LENGTHS, context=16)
    return request.getfixturevalue(name), tokens


@pytest.fixture
def model(case: tuple[Path, Path]) -> Path:
    return case[0]


@pytest.fixture
def tokens(case: tuple[Path, Path]) -> Path:
    return case[1]


def test_every_hook_point_holds_the_value_that_the_model_computes(model, tokens, tmp_path):
    acts = run(tmp_path / "acts", model, tokens, ALL)
    network = language_model.load_model(model)
    ids = TokenSet(tokens).read(0, 10)
    rows = {
        hook_point: reader.read(0, len(reader))["activations"]
        for hook_point, reader in acts.items()
    }
    with torch.no_grad():
        hidden = network(
            ids["input_ids"].long(), attention_mask=ids["real"].long(), output_hidden_states=True
        ).hidden_states
        hidden = [state[ids["real"]] for state in hidden]
        blocks = network.get_submodule(hooks.layout_of(network).blocks)

        def close(a: torch.Tensor, b: torch.Tensor) -> None:
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)

        for layer, block in enumerate(blocks):
            close(rows[HookPoint(layer, "resid_pre")], hidden[layer])
            if layer < 2:
                close(rows[HookPoint(layer, "resid_post")], hidden[layer + 1])
            close(block.mlp(rows[HookPoint(layer, "mlp_in")]), rows[HookPoint(layer, "mlp_out")])
            normed = rows[HookPoint(layer, "mlp_out_normed")]
            if model.name == "gemma2":
                close(block.post_feedforward_layernorm(rows[HookPoint(layer, "mlp_out")]), normed)
                assert (normed - rows[HookPoint(layer, "mlp_out")]).abs().mean() > 0.1
                before_mlp = rows[HookPoint(layer, "resid_post")] - normed
                close(block.pre_feedforward_layernorm(before_mlp), rows[HookPoint(layer, "mlp_in")])
            else:
                assert torch.equal(normed, rows[HookPoint(layer, "mlp_out")])
                residual = rows[HookPoint(layer, "resid_pre")]
                close(block.post_attention_layernorm(residual), rows[HookPoint(layer, "mlp_in")])
        # The last entry of hidden_states is behind the final norm; the hook point is before it.
        assert (rows[HookPoint(2, "resid_post")] - hidden[3]).abs().max() > 0.1
        norm = network.gpt_neox.final_layer_norm if model.name == "neox" else network.model.norm
        close(norm(rows[HookPoint(2, "resid_post")]), hidden[3])


def test_rows_are_the_real_positions_in_token_order(neox, tmp_path):
    tokens = example_tokens(tmp_path / "tokens", lengths=LENGTHS, context=16)
    hook_point = HookPoint(0, "resid_pre")
    reader = run(tmp_path / "acts", neox, tokens, [hook_point], shard_tokens=20)[hook_point]
    assert reader.shard_rows == [19, 10, 12, 18]  # whole contexts, at most 20 rows
    assert len(reader) == sum(LENGTHS)
    everything = reader.read(0, len(reader))
    assert everything["positions"].tolist() == [p for n in LENGTHS for p in range(n)]
    assert everything["contexts"].tolist() == [c for c, n in enumerate(LENGTHS) for _ in range(n)]
    assert PAD not in everything["token_ids"]
    expected_docs = [-1 if p == 0 else c for c, n in enumerate(LENGTHS) for p in range(n)]
    assert everything["doc_ids"].tolist() == expected_docs
    assert reader.context_starts().tolist() == [0, *np.cumsum(LENGTHS)]
    embedding = language_model.load_model(neox).get_input_embeddings()
    assert torch.equal(embedding(everything["token_ids"]), everything["activations"])


def test_a_context_longer_than_a_shard_gets_a_shard_of_its_own(tmp_path):
    tokens = TokenSet(example_tokens(tmp_path / "tokens", lengths=[16, 2, 3, 16], context=16))
    assert [(span.first, span.last, span.rows) for span in tokens.spans(5)] == [
        (0, 1, 16),
        (1, 3, 5),
        (3, 4, 16),
    ]


def test_values_do_not_depend_on_the_batch_size(model, tokens, tmp_path):
    wanted = [HookPoint(1, "mlp_out"), HookPoint(2, "resid_post")]
    runs = [run(tmp_path / str(batch), model, tokens, wanted, batch=batch) for batch in (1, 3, 64)]
    for hook_point in wanted:
        first, *others = [acts[hook_point].read(0, len(acts[hook_point])) for acts in runs]
        for other in others:
            for name in shards.SIDE_COLUMNS:
                assert torch.equal(first[name], other[name])
            torch.testing.assert_close(
                first["activations"], other["activations"], rtol=1e-4, atol=1e-4
            )
        assert len({tuple(acts[hook_point].shard_rows) for acts in runs}) == 1


def test_pass_stops_at_the_deepest_hook_point(model):
    network = language_model.load_model(model)
    blocks = network.get_submodule(hooks.layout_of(network).blocks)
    calls = []
    for layer, block in enumerate(blocks):
        block.register_forward_pre_hook(lambda *_, layer=layer: calls.append(layer))
        block.mlp.register_forward_hook(lambda *_, layer=layer: calls.append(f"mlp{layer}"))
    network.lm_head.register_forward_pre_hook(lambda *_: calls.append("unembedding"))
    ids = torch.randint(0, 256, (2, 5))
    values = hooks.read(network, ids, [HookPoint(0, "resid_post"), HookPoint(1, "mlp_in")])
    assert calls == [0, "mlp0", 1]  # block 1 begins; its MLP, whose input was wanted, never runs
    assert {value.shape for value in values.values()} == {(2, 5, 32)}
    network(ids)  # the hooks are gone: a later forward runs to the end
    assert calls[3:] == [0, "mlp0", 1, "mlp1", 2, "mlp2", "unembedding"]


def test_equal_inputs_give_equal_bytes_alone_or_together(model, tokens, tmp_path):
    wanted = [HookPoint(0, "mlp_out"), HookPoint(1, "resid_post")]
    run(tmp_path / "a", model, tokens, wanted, dtype="float16")
    run(tmp_path / "b", model, tokens, wanted, dtype="float16")
    run(tmp_path / "c", model, tokens, wanted[:1], dtype="float16")
    assert folder_digest(tmp_path / "a") == folder_digest(tmp_path / "b")
    alone = folder_digest(tmp_path / "a" / str(wanted[0]))
    assert alone == folder_digest(tmp_path / "c" / str(wanted[0]))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_lower_precision_is_the_rounded_value(neox, tmp_path, dtype):
    tokens = packed_tokens(tmp_path / "tokens")
    hook_point = HookPoint(1, "resid_post")
    exact = run(tmp_path / "exact", neox, tokens, [hook_point])[hook_point]
    rounded = run(tmp_path / "rounded", neox, tokens, [hook_point], dtype=dtype)[hook_point]
    assert rounded.meta["dtype"] == dtype
    expected = exact.read(0, len(exact))["activations"].to(shards.DTYPES[dtype])
    assert torch.equal(rounded.read(0, len(rounded))["activations"], expected)


def test_a_model_in_bfloat16_passes_the_gate_with_its_own_bound(model, tokens, tmp_path):
    hook_point = HookPoint(1, "mlp_out")
    exact = run(tmp_path / "exact", model, tokens, [hook_point])[hook_point]
    low = run(
        tmp_path / "low", model, tokens, [hook_point], model_dtype="bfloat16", dtype="bfloat16"
    )[hook_point]
    assert low.meta["parity"]["bound"] == 0.125
    assert exact.meta["parity"]["bound"] == 1e-4
    a = low.read(0, len(low))["activations"].float()
    b = exact.read(0, len(exact))["activations"]
    assert 1e-4 < (a - b).norm() / b.norm() < 0.05


def test_a_value_beyond_float16_is_refused_with_the_way_out(tmp_path, neox):
    tokens = packed_tokens(tmp_path / "tokens")
    network = language_model.load_model(neox)
    network.gpt_neox.embed_in.weight *= 1e5
    network.save_pretrained(tmp_path / "loud")
    load_tokenizer(neox).save_pretrained(tmp_path / "loud")
    hook_point = HookPoint(0, "resid_pre")
    with pytest.raises(LedgerError, match=r"layers.0.resid_pre.*overflows float16.*use bfloat16"):
        run(tmp_path / "fp16", tmp_path / "loud", tokens, [hook_point], dtype="float16")
    reader = run(tmp_path / "bf16", tmp_path / "loud", tokens, [hook_point], dtype="bfloat16")[
        hook_point
    ]
    assert reader.read(0, len(reader))["activations"].isfinite().all()


def test_wrong_settings_and_inputs_are_named(neox, tmp_path, monkeypatch):
    tokens = packed_tokens(tmp_path / "tokens")
    with pytest.raises(LedgerError, match=r"layers.3.mlp_in does not exist.*0 to 2"):
        run(tmp_path / "deep", neox, tokens, [HookPoint(3, "mlp_in")])
    with pytest.raises(LedgerError, match="float8.*float16, bfloat16, float32"):
        run(tmp_path / "dtype", neox, tokens, [HookPoint(0, "mlp_in")], dtype="float8")
    foreign = packed_tokens(tmp_path / "foreign", vocabulary=5000)
    with pytest.raises(LedgerError, match="outside the model's vocabulary of 259"):
        run(tmp_path / "foreign-acts", neox, foreign, [HookPoint(0, "mlp_in")])
    full = type("Usage", (), {"free": 10})
    monkeypatch.setattr(capturing.shutil, "disk_usage", lambda _: full)
    with pytest.raises(LedgerError, match=r"1 hook points of .* need .* GB"):
        run(tmp_path / "full", neox, tokens, [HookPoint(0, "mlp_in")])


# --- the reader ---------------------------------------------------------------------------------


@pytest.fixture
def reader(neox, tmp_path) -> ActivationShards:
    tokens = packed_tokens(tmp_path / "tokens", contexts=10, context=16)
    hook_point = HookPoint(1, "resid_post")
    return run(tmp_path / "acts", neox, tokens, [hook_point], shard_tokens=48)[hook_point]


def test_reads_any_rows_across_shards(reader):
    assert reader.shard_rows == [48, 48, 48, 16]
    whole = {name: torch.cat([part[name] for part in reader.shards()]) for name in shards.COLUMNS}
    for lo, hi in [(0, 160), (0, 1), (47, 49), (48, 96), (0, 48), (30, 150), (159, 160), (144, 144),
                   (0, 0), (160, 160)]:  # fmt: skip
        part = reader.read(lo, hi)
        for name in shards.COLUMNS:
            assert torch.equal(part[name], whole[name][lo:hi]), (name, lo, hi)
    for lo, hi in [(-1, 3), (3, 2), (0, 161)]:
        with pytest.raises(LedgerError, match="rows 0 to 160"):
            reader.read(lo, hi)


def test_what_was_read_can_be_changed_without_changing_the_file(reader):
    before = folder_digest(reader.folder)
    reader.read(0, 10)["activations"].zero_()
    assert folder_digest(reader.folder) == before
    assert ActivationShards(reader.folder).read(0, 10)["activations"].any()


def test_a_missing_torn_or_foreign_shard_is_named(reader):
    path = reader.folder / shards.shard_name(1)
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(LedgerError, match="acts-00001.safetensors is no whole safetensors file"):
        ActivationShards(reader.folder).read(50, 60)
    path.write_bytes((reader.folder / shards.shard_name(3)).read_bytes())
    with pytest.raises(LedgerError, match="promises 48 rows of width 32"):
        ActivationShards(reader.folder).read(50, 60)
    path.unlink()
    with pytest.raises(LedgerError, match="acts-00001.safetensors is missing"):
        ActivationShards(reader.folder).read(50, 60)


# --- memory and resumption ----------------------------------------------------------------------

MEMORY = """
import sys
from pathlib import Path
import psutil
from latent_ledger.models import capture
from latent_ledger.models.hook_points import HookPoint

root, write, peaks = Path(sys.argv[1]), capture.shards.write_shard, []

def measured(path, columns):
    # Sampled with all buffers full. ru_maxrss would not do: importing torch peaks higher.
    write(path, columns)
    peaks[-1] = max(peaks[-1], psutil.Process().memory_info().rss)

capture.shards.write_shard = measured
network = capture.load_for_capture(root / "model")
for size in ("warm-up", "small", "large"):
    folders = {HookPoint(0, point): root / size / point for point in ("resid_pre", "mlp_out")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    tokens = capture.TokenSet(root / f"tokens-{size}")
    peaks.append(0)
    settings = {"dtype": "float32", "batch": 16, "shard_tokens": 1024}
    capture.write_missing_shards(settings, network, tokens, folders)
print(*peaks[1:])
"""


def test_memory_does_not_grow_with_the_number_of_tokens(tmp_path):
    from tests.tiny_models import neox_folder

    neox_folder(tmp_path / "model", layers=1, width=128)
    for size, contexts in {"warm-up": 128, "small": 128, "large": 512}.items():
        packed_tokens(tmp_path / f"tokens-{size}", contexts=contexts, context=64)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path], capture_output=True, text=True, check=True
    )
    small, large = map(int, done.stdout.split())
    sizes = [
        sum(path.stat().st_size for path in (tmp_path / size).rglob("*.safetensors"))
        for size in ("small", "large")
    ]
    assert sizes[1] - sizes[0] > 25e6
    assert large - small < 6e6


CAPTURE = """
import sys
from pathlib import Path
from latent_ledger.models.capture import capture
from latent_ledger.models.hook_points import HookPoint
from tests.models.test_capture import KILLED, SETTINGS

root = Path(sys.argv[1])
outs = {hook_point: root / "killed" / str(hook_point) for hook_point in KILLED}
settings = SETTINGS | {"dtype": "float16", "batch": 1, "shard_tokens": 128}
capture(settings, Path(sys.argv[2]), root / "tokens", outs, partial=root / "partial")
"""


@pytest.mark.slow
def test_a_killed_capture_goes_on_and_ends_with_the_same_bytes(gemma2, tmp_path):
    tokens = packed_tokens(tmp_path / "tokens", contexts=240, context=16)
    settings = SETTINGS | {"dtype": "float16", "batch": 1, "shard_tokens": 128}
    whole = folders(tmp_path / "whole", KILLED)
    capture(settings, gemma2, tokens, whole)

    killed = folders(tmp_path / "killed", KILLED)
    process = subprocess.Popen(
        [sys.executable, "-c", CAPTURE, tmp_path, gemma2], cwd=PROJECT, stderr=subprocess.DEVNULL
    )
    while not list((tmp_path / "partial").glob(f"*/{KILLED[-1]}/acts-00001.*.safetensors")):
        assert process.poll() is None, "the capture ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {p: p.stat().st_ino for p in (tmp_path / "partial").rglob("acts-*.*.safetensors")}
    assert len(kept) < 30 * len(KILLED)
    assert not any((tmp_path / "killed").rglob("*.safetensors"))
    torn, flipped, *_ = sorted(kept)  # they are made again, the others are kept
    torn.write_bytes(torn.read_bytes()[:-7])
    flip_a_bit(flipped)

    capture(settings, gemma2, tokens, killed, partial=tmp_path / "partial")
    assert folder_digest(tmp_path / "killed") == folder_digest(tmp_path / "whole")
    assert not (tmp_path / "partial").exists()
    for path, inode in kept.items():
        final = tmp_path / "killed" / path.parent.name / shards.shard_name(int(path.name[5:10]))
        assert path in (torn, flipped) or final.stat().st_ino == inode, "a shard was made again"


def test_finished_shards_of_other_settings_or_inputs_are_not_reused(neox, tmp_path):
    tokens = packed_tokens(tmp_path / "tokens", contexts=10, context=16)
    hook_point = HookPoint(1, "resid_post")
    token_set = TokenSet(tokens)
    partial = tmp_path / "partial"

    def mark(**changed) -> dict:
        return capturing.fingerprint(SETTINGS | changed, neox, token_set)

    folder = capturing.open_partial(partial, mark(), [hook_point])[hook_point]
    network = capturing.load_for_capture(neox)
    capturing.write_missing_shards(SETTINGS, network, token_set, {hook_point: folder})
    assert len(list(folder.glob("*.safetensors"))) == 3
    capturing.open_partial(partial, mark(), [hook_point])
    assert len(list(folder.glob("*.safetensors"))) == 3
    other = capturing.open_partial(partial, mark(batch=5), [hook_point])[hook_point]
    assert not list(other.glob("*.safetensors"))


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_changed_shard_of_a_killed_capture_is_made_again(neox, tmp_path, capsys, damage):
    tokens = packed_tokens(tmp_path / "tokens", contexts=10, context=16)
    hook_point, partial = HookPoint(1, "resid_post"), tmp_path / "partial"
    whole = folders(tmp_path / "whole", [hook_point])
    capture(SETTINGS, neox, tokens, whole)

    mark = capturing.fingerprint(SETTINGS, neox, TokenSet(tokens))
    folder = capturing.open_partial(partial, mark, [hook_point])
    network = capturing.load_for_capture(neox)
    left = capturing.write_missing_shards(SETTINGS, network, TokenSet(tokens), folder)
    DAMAGE[damage](left[hook_point][1])
    resumed = folders(tmp_path / "resumed", [hook_point])
    capture(SETTINGS, neox, tokens, resumed, partial=partial)
    assert folder_digest(tmp_path / "resumed") == folder_digest(tmp_path / "whole")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "has changed" in line]
    assert line.startswith(f"{left[hook_point][1]} ")
