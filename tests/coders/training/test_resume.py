"""Training that is killed and goes on ends with the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from latent_ledger.coders.training import trainer
from latent_ledger.coders.training.control_weights import LEARNT
from latent_ledger.lib.files import sealed
from tests.coders.shard_folders import synthetic
from tests.coders.training.recipes import SAE, SKIP, sides
from tests.tiny_models import flip_a_bit, folder_digest

CONTINUED = {optimizer: SAE | {"optimizer": optimizer} for optimizer in ("signum", "adam", "muon")}
CONTINUED["unit scale"] = SKIP | {"unit_scale": True}
CONTINUED |= {
    f"{architecture['architecture']}, {w}": architecture | {"weights": w}
    for architecture in (SAE, SKIP)
    for w in LEARNT
}


@pytest.mark.parametrize("case", CONTINUED)
def test_a_checkpoint_continues_to_the_same_bytes(case, world, tmp_path, monkeypatch):
    settings = CONTINUED[case] | {"checkpoint_steps": 20, "lr_warmup_steps": 10}
    (tmp_path / "whole").mkdir()
    trainer.produce(settings, sides(world, settings), tmp_path / "whole")

    learn = trainer.Training.learn

    def stumble(self, x, y):
        if self.step == 33:
            raise KeyboardInterrupt
        learn(self, x, y)

    checkpoint, out = tmp_path / "checkpoint", tmp_path / "resumed"
    out.mkdir()
    monkeypatch.setattr(trainer.Training, "learn", stumble)
    with pytest.raises(KeyboardInterrupt):
        trainer.produce(settings, sides(world, settings), out, checkpoint)
    firsts = []

    def counted(self, x, y):
        firsts.append(self.step)
        learn(self, x, y)

    monkeypatch.setattr(trainer.Training, "learn", counted)
    trainer.produce(settings, sides(world, settings), out, checkpoint)
    assert firsts[0] == 20
    assert folder_digest(out) == folder_digest(tmp_path / "whole")

    firsts.clear()  # nor does training continue from a state with a flipped bit
    flip_a_bit(sealed(checkpoint / "state.pt"))
    trainer.produce(settings, sides(world, settings), out, checkpoint)
    assert firsts[0] == 0
    assert folder_digest(out) == folder_digest(tmp_path / "whole")

    firsts.clear()  # another recipe does not continue from this state
    trainer.produce(settings | {"seed": 9}, sides(world, settings), out, checkpoint)
    assert firsts[0] == 0


JOB = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from latent_ledger.coders.training import trainer
settings, reads, out, checkpoint = json.loads(sys.argv[1]), *map(Path, sys.argv[2:])
trainer.produce(settings, {"input_hook": reads}, out, checkpoint)
"""


def test_sigkill_and_restart_end_with_the_same_bytes(tmp_path):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(64 * 500, 64, generator=generator)
    acts = synthetic(tmp_path / "acts", values, context=64)
    settings = {
        "architecture": "sae",
        "layer": 0,
        "input_hook": "resid_post",
        "width": 512,
        "k": 16,
    }
    settings |= {"batch_tokens": 64, "checkpoint_steps": 30}

    out, checkpoint = tmp_path / "killed", tmp_path / "checkpoint"
    out.mkdir()
    killed = subprocess.Popen(
        [sys.executable, "-c", JOB, json.dumps(settings), str(acts), str(out), str(checkpoint)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 60
    while not list(checkpoint.glob("state.*.pt")) and time.monotonic() < deadline:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    state = sealed(checkpoint / "state.pt")
    assert 30 <= torch.load(state, weights_only=True)["step"] < 500
    assert not list(out.iterdir())

    trainer.produce(settings, {"input_hook": acts}, out, checkpoint)
    (tmp_path / "whole").mkdir()
    trainer.produce(settings, {"input_hook": acts}, tmp_path / "whole")
    assert folder_digest(out) == folder_digest(tmp_path / "whole")
