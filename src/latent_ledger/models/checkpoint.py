"""Checkpoint of a training run, from which a killed job goes on."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from latent_ledger.lib.files import seal, sealed, written_aside


class Checkpoint:
    """The last state of the run `identity`, in one file of `folder`; None keeps nothing.

    A kill leaves the old state or the new one. A state that has changed on the disk is not used.
    """

    def __init__(self, folder: Path | None, identity: str) -> None:
        self.path = None if folder is None else Path(folder) / "state.pt"
        self.identity = identity

    def save(self, state: Mapping[str, Any]) -> None:
        """Write the state whole before it gets the name under which it counts."""
        if self.path is None:
            return
        with written_aside(self.path) as aside, aside.open("wb") as stream:
            torch.save({"identity": self.identity, **state}, stream)
        newest = seal(self.path)
        for older in set(self.path.parent.glob("state.*.pt")) - {newest}:
            older.unlink(missing_ok=True)

    def load(self, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """The saved state if it is whole and belongs to this very run."""
        path = self.path and sealed(self.path)
        if path is None:
            return None
        state = torch.load(path, map_location=device, weights_only=True)
        if state.pop("identity") == self.identity:
            return state
        print(f"{path} is of another run: starting from step 0.", file=sys.stderr)
        return None
