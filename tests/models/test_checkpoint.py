"""A checkpoint: the newest whole state of the very run, or none."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest
import torch

from latent_ledger.lib.errors import LedgerError
from latent_ledger.models.checkpoint import Checkpoint
from tests.tiny_models import DAMAGE, flip_a_bit


def state(step: int) -> dict:
    return {"step": step, "weights": torch.full((50, 50), float(step))}


def test_the_last_state_is_loaded_and_the_only_one_kept(tmp_path, capsys):
    checkpoint = Checkpoint(tmp_path / "kept", "run")
    assert checkpoint.load() is None
    for step in (1, 2):
        checkpoint.save(state(step))
    loaded = Checkpoint(tmp_path / "kept", "run").load()
    assert loaded["step"] == 2 and torch.equal(loaded["weights"], state(2)["weights"])
    assert len(list((tmp_path / "kept").iterdir())) == 1
    assert capsys.readouterr().err == ""


def test_without_a_folder_nothing_is_kept():
    Checkpoint(None, "run").save(state(1))
    assert Checkpoint(None, "run").load() is None


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_changed_state_is_set_aside_with_one_line(tmp_path, capsys, damage):
    checkpoint = Checkpoint(tmp_path, "run")
    checkpoint.save(state(1))
    (file,) = tmp_path.iterdir()
    DAMAGE[damage](file)
    assert checkpoint.load() is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"{file} has changed since it was written: set aside, made anew."
    assert [path.suffix for path in tmp_path.iterdir()] == [".corrupt"]
    checkpoint.save(state(2))
    assert checkpoint.load()["step"] == 2


def test_a_kill_between_two_states_leaves_one_to_go_on_from(tmp_path):
    """A kill while the new state is written, or before the old one is removed."""
    checkpoint = Checkpoint(tmp_path, "run")
    checkpoint.save(state(1))
    (old,) = tmp_path.iterdir()
    content = old.read_bytes()
    (tmp_path / ".state.pt.123").write_bytes(content[:100])
    assert checkpoint.load()["step"] == 1
    checkpoint.save(state(2))
    (new,) = tmp_path.glob("state.*")
    old.write_bytes(content)
    os.utime(old, (0, 0))
    assert checkpoint.load()["step"] == 2
    flip_a_bit(new)
    assert checkpoint.load()["step"] == 1


def test_a_full_disk_is_one_line_and_leaves_the_old_state(tmp_path, monkeypatch):
    """torch hides the disk's error behind an assertion of its own writer."""

    class FullAfter1000(io.FileIO):
        def write(self, content):
            if self.tell() > 1000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(content)

    checkpoint = Checkpoint(tmp_path, "run")
    checkpoint.save(state(1))
    monkeypatch.setattr(Path, "open", lambda path, mode: FullAfter1000(path, mode))
    with pytest.raises(LedgerError, match=r"state\.pt is full: free some space"):
        checkpoint.save(state(2))
    monkeypatch.undo()
    assert checkpoint.load()["step"] == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_state_of_another_run_is_not_loaded(tmp_path, capsys):
    Checkpoint(tmp_path, "another").save(state(1))
    assert Checkpoint(tmp_path, "run").load() is None
    assert "is of another run: starting from step 0." in capsys.readouterr().err
