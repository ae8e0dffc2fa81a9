"""The embedded model: it learns, its loss is honest, and a killed run ends with the same bytes."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import sha256_file
from latent_ledger.models import training
from latent_ledger.models.checkpoint import Checkpoint
from latent_ledger.text import corpus
from latent_ledger.text.tokens import encode, train_tokenizer
from tests.tiny_models import flip_a_bit

SETTINGS = {
    "vocabulary": 300,
    "layers": 2,
    "width": 32,
    "heads": 4,
    "context": 16,
    "batch": 4,
    "steps": 20,
    "seed": 0,
}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """The recipe's two threads would wait for each other on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "THREADS", 1)
        yield


@pytest.fixture(scope="module")
def part(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("part")
    settings = {"source": "embedded", "families": ["headlines"], "parts": {"p": 0.02}, "seed": 0}
    corpus.produce(settings, {"p": out})
    return out


@pytest.fixture(scope="module")
def trained(part, tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("trained")
    return out, training.produce(SETTINGS, part, out)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in sorted(folder.iterdir())}


def test_saved_model_is_an_ordinary_model(trained):
    out, facts = trained
    model = AutoModelForCausalLM.from_pretrained(out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert model.config.model_type == "gpt_neox"
    assert model.config.use_parallel_residual
    assert model.config.vocab_size == len(tokenizer) == 300
    assert (model.config.bos_token_id, model.config.eos_token_id) == (0, 1)
    assert facts["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert facts["training_tokens"] == 20 * 4 * 16


def test_longer_training_predicts_better(trained, part, tmp_path):
    _, facts = trained
    longer = training.produce(SETTINGS | {"steps": 60}, part, tmp_path)
    assert longer["held_out_nats_per_token"] < facts["held_out_nats_per_token"] < math.log(300)


def test_the_held_out_loss_is_nats_of_tokens_over_bits_of_bytes(part):
    """A model that knows nothing pays log V for every token, EOS included."""
    texts, held_out = training._held_out_split(part)
    assert 0 < len(held_out) < 0.1 * len(texts)
    assert not set(texts) & set(held_out)
    tokenizer = train_tokenizer(texts, 300)
    model = training.build(SETTINGS)
    model.get_output_embeddings().weight.data.zero_()
    losses = training.held_out_loss(model, tokenizer, held_out, SETTINGS)
    assert losses["held_out_nats_per_token"] == pytest.approx(math.log(300), rel=1e-6)
    lengths = [len(ids) + 1 for ids in encode(tokenizer, held_out)]
    assert losses["held_out_tokens"] == sum(lengths) // 15 * 15
    n_bytes = sum(len(text.encode()) for text in held_out)
    expected = sum(lengths) * math.log2(300) / n_bytes
    assert losses["held_out_bits_per_byte"] == pytest.approx(expected, rel=0.02)


def test_the_loss_of_training_predicts_every_token_but_the_first():
    model = training.build(SETTINGS).eval()
    rows = torch.randint(3, 300, (3, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(input_ids=rows, labels=rows).loss
        assert training.next_token_loss(model, rows) == pytest.approx(expected.item(), rel=1e-5)


def test_same_settings_same_bytes_and_another_seed_others(trained, part, tmp_path):
    out, facts = trained
    torch.manual_seed(123)  # no state from outside leaks in
    torch.rand(5)
    (tmp_path / "again").mkdir()
    (tmp_path / "other").mkdir()
    assert training.produce(SETTINGS, part, tmp_path / "again") == facts
    assert digests(tmp_path / "again") == digests(out)
    training.produce(SETTINGS | {"seed": 1}, part, tmp_path / "other")
    weights = "model.safetensors"
    assert digests(tmp_path / "other")[weights] != digests(out)[weights]


KILLED = """
import os, signal, sys
from pathlib import Path
from latent_ledger.models import training
training.CHECKPOINT_STEPS, training.THREADS = 5, 1
class Killing(training.Progress):
    def update(self, amount=1, **values):
        super().update(amount, **values)
        if self.done == 13:
            os.kill(os.getpid(), signal.SIGKILL)
training.Progress = Killing
training.produce({settings!r}, Path({part!r}), Path({out!r}), Path({checkpoint!r}))
"""


@pytest.mark.slow
def test_a_killed_run_ends_with_the_bytes_of_an_uninterrupted_one(
    trained, part, tmp_path, monkeypatch
):
    checkpoint, out = tmp_path / "checkpoint", tmp_path / "out"
    out.mkdir()
    script = KILLED.format(
        settings=SETTINGS, part=str(part), out=str(out), checkpoint=str(checkpoint)
    )
    ended = subprocess.run([sys.executable, "-c", script], env=os.environ, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(list(checkpoint.glob("state.*.pt"))) == 1
    assert not list(out.iterdir())

    steps = []
    monkeypatch.setattr(training, "next_token_loss", _counting(steps))
    facts = training.produce(SETTINGS, part, out, checkpoint)
    assert steps.count(True) == 10  # steps 11 to 20; ten were in the checkpoint
    assert facts == trained[1]
    assert digests(out) == digests(trained[0])


def _counting(steps: list[bool]):
    original = training.next_token_loss

    def loss(model, input_ids):
        steps.append(model.training)
        return original(model, input_ids)

    return loss


def test_a_checkpoint_of_another_run_is_not_continued(trained, part, tmp_path):
    checkpoint, out = tmp_path / "checkpoint", tmp_path / "out"
    out.mkdir()
    model = training.build(SETTINGS)
    states = [stateful.state_dict() for stateful in (model, *training._optimizers(model))]
    Checkpoint(checkpoint, "another run").save({"step": 10, "states": states})
    training.produce(SETTINGS, part, out, checkpoint)
    assert digests(out) == digests(trained[0])


def test_a_flipped_bit_in_a_checkpoint_changes_no_byte_of_the_model(
    trained, part, tmp_path, monkeypatch, capsys
):
    checkpoint, out = tmp_path / "checkpoint", tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr(training, "CHECKPOINT_STEPS", 10)
    training.produce(SETTINGS, part, out, checkpoint)  # leaves the state after ten steps
    (state,) = checkpoint.iterdir()
    flip_a_bit(state)
    steps = []
    monkeypatch.setattr(training, "next_token_loss", _counting(steps))
    training.produce(SETTINGS, part, out, checkpoint)
    assert steps.count(True) == 20
    assert digests(out) == digests(trained[0])
    assert f"{state} has changed since it was written" in capsys.readouterr().err


def test_every_row_is_read_once_per_pass():
    order = training._order(rows=10, count=25, seed=3)
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert len(order) == 25
    assert order[:10].tolist() != order[10:20].tolist()
    assert order.tolist() == training._order(10, 25, 3).tolist()
    assert order.tolist() != training._order(10, 25, 4).tolist()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"width": 30}, "width is 30 with 4 heads"),
        ({"heads": 8}, "multiple of 8"),
        ({"context": 1}, "at least 2 tokens"),
        ({"batch": 100_000}, "fewer than one batch"),
        ({"vocabulary": 259}, "needs more than 259"),
    ],
)
def test_impossible_settings_are_refused(part, tmp_path, changes, line):
    with pytest.raises(LedgerError, match=line):
        training.produce(SETTINGS | changes, part, tmp_path)
