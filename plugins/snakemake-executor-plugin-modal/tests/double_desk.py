"""What the tests of the local Modal server share: the real client's calls, and how they wait."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import modal
import pytest
from local_modal import LocalModal

BACKENDS = pytest.mark.parametrize("gpu", [None, "L4"], ids=["second backend", "first backend"])


class Desk:
    """The calls of the real client, bound to one server and its token."""

    def __init__(self, server: LocalModal, client: modal.Client) -> None:
        self.server = server
        self.client = client
        self.app = modal.App.lookup("tests", create_if_missing=True, client=client)
        self.image = modal.Image.debian_slim(python_version="3.11")

    def create(self, *command: str, **settings) -> modal.Sandbox:
        """Create a Sandbox in the app, by default with the plain image."""
        settings.setdefault("image", self.image)
        return modal.Sandbox.create(*command, app=self.app, client=self.client, **settings)

    def run(self, *command: str, **settings) -> modal.Sandbox:
        """Create a Sandbox and wait for its end."""
        sandbox = self.create(*command, **settings)
        sandbox.wait(raise_on_termination=False)
        return sandbox

    def volume(self, name: str = "store", **settings) -> modal.Volume:
        """A Volume by name, made if missing."""
        settings.setdefault("create_if_missing", True)
        return modal.Volume.from_name(name, version=2, client=self.client, **settings)


class Sleep:
    """A command that no other process on this machine runs: `sleep` for a unique time."""

    def __init__(self) -> None:
        self.seconds = f"600.{uuid.uuid4().int}"
        self.command = ("sleep", self.seconds)

    def runs(self) -> bool:
        """Whether a process has the command among its arguments."""
        for arguments in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if self.seconds.encode() in arguments.read_bytes().split(b"\0"):
                    return True
            except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
                continue
        return False


def until(done: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for `done()`; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
