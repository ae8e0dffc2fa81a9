"""The bench of the tests: a small workflow that runs against the local Modal server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import snakemake
from double_desk import Desk
from double_record import (  # noqa: F401  hooks
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_sessionfinish,
)
from local_modal import LocalModal

SOURCE = Path(__file__).parents[1] / "src"
PATIENCE = 300.0
"""Seconds until a run or a condition that does not come is a failure; never a measure of speed."""


def listens_to_ctrl_c() -> None:
    """Listen to Ctrl-C: a shell makes commands in its background, and theirs, ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Run:
    """A snakemake call that has ended."""

    code: int
    output: str


@dataclass
class Bench:
    """A working directory with a Snakefile, and a Modal server."""

    root: Path
    server: LocalModal
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, **files: str) -> None:
        """Write files; ``__`` in a name stands for a dot."""
        for name, text in files.items():
            self.file(name.replace("__", "."), text)

    def file(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def read(self, name: str) -> str:
        """Content of a file of the working directory."""
        return (self.root / name).read_text()

    def command(self, *arguments: str) -> list[str]:
        """The command line of a run."""
        return [
            *(sys.executable, "-m", "snakemake", "--executor", "modal", "--jobs", "8"),
            *("--nocolor", "--modal-volume", "bench", "--modal-poll-seconds", "0.1"),
            # Snakemake's first wait may begin before the executor has set its seconds.
            *("--seconds-between-status-checks", "1"),
            *arguments,
        ]

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start a run and return at once."""
        path = os.pathsep.join([str(SOURCE), str(self.root)])
        environment = {**os.environ, "PYTHONPATH": path, **self.server.environment}
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.root,
            env={**environment, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=listens_to_ctrl_c,
        )

    def run(self, *arguments: str, ok: bool = True) -> Run:
        """Run to the end; assert that it succeeded, or with `ok=False` that it failed."""
        run = self.finish(self.start(*arguments))
        assert (run.code == 0) is ok, run.output[-6000:]
        return run

    def finish(self, process: subprocess.Popen) -> Run:
        """Wait for the end of a started run."""
        try:
            output, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            pytest.fail(f"no end after {PATIENCE} s: {process.communicate()[0][-4000:]}")
        return Run(process.returncode, output)

    def attempts(self, name: str) -> list[dict]:
        """The lines of an attempts file."""
        return [json.loads(line) for line in self.read(name).splitlines()]

    def alive(self) -> list[str]:
        """Ids of the Sandboxes that run."""
        return [sandbox.id for sandbox in self.server.sandboxes if sandbox.result is None]

    def wait_until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Wait for a condition to become true; fail after `seconds`."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.05)


@pytest.fixture
def bench(tmp_path) -> Iterator[Bench]:
    """A bench with an image (this machine's Snakemake) and a Volume, and no rules yet."""
    root = tmp_path / "work"
    root.mkdir()
    with LocalModal(tmp_path / "modal") as server:
        server.volume("bench")
        bench = Bench(root, server)
        bench.file("requirements.lock", f"snakemake=={snakemake.__version__}\n")
        yield bench


@pytest.fixture
def server(tmp_path) -> Iterator[LocalModal]:
    """A local Modal server without anything in it."""
    with LocalModal(tmp_path / "modal") as server:
        yield server


@pytest.fixture
def desk(server) -> Iterator[Desk]:
    """The real client at that server."""
    with server.client() as client:
        yield Desk(server, client)
