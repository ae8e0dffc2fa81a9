"""A bench: a small workflow of any kind, run by a person against the local Modal server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import snakemake
from local_modal import LocalModal

SOURCE = Path(__file__).parents[1] / "src"


def listens_to_ctrl_c() -> None:
    """Undo what a shell does to commands in its background, the tests' own perhaps."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Run:
    """What a snakemake call said and how it ended."""

    code: int
    output: str
    seconds: float


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
        """Write one file."""
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
        """Run to the end; `ok` asserts how it must end."""
        began = time.monotonic()
        process = self.start(*arguments)
        try:
            output, _ = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            pytest.fail(f"no end after 120 s: {process.communicate()[0][-4000:]}")
        assert (process.returncode == 0) is ok, output[-6000:]
        return Run(process.returncode, output, time.monotonic() - began)

    def attempts(self, name: str) -> list[dict]:
        """The attempts told in a file."""
        return [json.loads(line) for line in self.read(name).splitlines()]

    def alive(self) -> list[str]:
        """Ids of the Sandboxes that run."""
        return [sandbox.id for sandbox in self.server.sandboxes if sandbox.result is None]

    def wait_until(self, condition, seconds: float = 30.0) -> None:
        """Wait for something to become true."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.05)


@pytest.fixture
def bench(tmp_path) -> Bench:
    """A bench with an image (this machine's Snakemake) and a Volume, and no rules yet."""
    root = tmp_path / "work"
    root.mkdir()
    with LocalModal(tmp_path / "modal") as server:
        server.volume("bench")
        bench = Bench(root, server)
        bench.file("requirements.lock", f"snakemake=={snakemake.__version__}\n")
        yield bench
