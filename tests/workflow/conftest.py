"""A checkout to experiment on: a copy of the project that a test may edit, run and break.

Two experiments run once per test session, and every test starts from a copy of the results and the
store of one: `finished`, the chain from text to head-to-heads, which most promises are about, and
`whole`, the same with every evaluation and control.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from latent_ledger.ledger.row import RUN_COLUMNS
from latent_ledger.lib.files import read_json
from tests.project import PROJECT

PLUGIN = PROJECT / "plugins/snakemake-executor-plugin-modal/src"
SANDBOX = {
    "HF_HUB_OFFLINE": "1",
    **{name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")},
}
"""Environment of a local Sandbox's image. A machine may pin the kernels of its BLAS, and only the
same ones give the same last bit."""

TRAVELS = ("Snakefile", "rules", "workflow", "src", "config", "envs", "profiles", "tests/workflow")


@dataclass
class Run:
    """What a snakemake call said and how it ended."""

    code: int
    output: str
    seconds: float


@dataclass
class Checkout:
    """A copy of the project with its own results and store."""

    root: Path
    overlays: tuple[str, ...]
    profile: str = "profiles/local"
    environment: dict[str, str] = field(default_factory=dict)
    name: str = "micro"
    """The experiment's name, and so its folder below results/."""

    def command(self, *arguments: str, target: str = "results/ledger.md") -> list[str]:
        """The snakemake call that makes `target` of this experiment."""
        return [
            *(sys.executable, "-m", "snakemake", *([target] if target else [])),
            *("--profile", self.profile, "--nocolor"),
            *("--configfile", "config/tiny.yaml", *self.overlays),
            *arguments,
        ]

    def variables(self) -> dict[str, str]:
        """Environment of that call: this checkout's own modules, no network, its own store."""
        return {
            **{name: value for name, value in os.environ.items() if name != "LATENT_LEDGER_STORE"},
            "PYTHONPATH": os.pathsep.join([str(self.root / "src"), str(PLUGIN)]),
            "HF_HUB_OFFLINE": "1",
            **self.environment,
        }

    def snakemake(self, *arguments: str, target: str = "results/ledger.md", ok: bool = True) -> Run:
        """Run snakemake on the micro experiment; `ok` asserts how it must end."""
        began = time.monotonic()
        done = subprocess.run(
            self.command(*arguments, target=target),
            cwd=self.root,
            env=self.variables(),
            capture_output=True,
            text=True,
            timeout=1500,
        )
        output = done.stdout + done.stderr
        assert (done.returncode == 0) is ok, output[-6000:]
        return Run(done.returncode, output, time.monotonic() - began)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text that must be there, as an editor would."""
        file = self.root / path
        text = file.read_text()
        assert old in text, f"{path} no longer holds {old!r}"
        file.write_text(text.replace(old, new, 1))

    def listed(self, *arguments: str) -> list[str]:
        """Names (without .json) of what the jobs that a dry run lists would make."""
        output = self.snakemake("-n", "--quiet", "host", *arguments).output
        lines = [line.strip() for line in output.splitlines()]
        outputs = [line.removeprefix("output: ") for line in lines if line.startswith("output: ")]
        return sorted(
            name.strip()
            .removeprefix("results/")
            .removeprefix(f"{self.name}/")
            .removesuffix(".json")
            for line in set(outputs)
            for name in line.split(",")
        )

    def rows(self) -> list[dict]:
        """Rows of the ledger."""
        return read_json(self.root / "results/ledger.json")["rows"]

    def numbers(self) -> dict[str, dict]:
        """Rows by run id, without the columns that describe the run: what another must repeat."""
        return {
            row["run_id"]: {k: v for k, v in row.items() if k not in RUN_COLUMNS}
            for row in self.rows()
        }

    def row(self, run_id: str) -> dict:
        """The current row of a run id."""
        return next(
            row for row in self.rows() if row["run_id"] == run_id and row["label"] != "superseded"
        )

    def records(self) -> dict[str, dict]:
        """Run records by the name of what they describe, without .json."""
        root = self.results / "records"
        return {
            path.relative_to(root).with_suffix("").as_posix(): read_json(path)
            for path in sorted(root.rglob("*.json"))
        }

    @property
    def results(self) -> Path:
        """The folder of the experiment's manifests and records."""
        return self.root / "results" / self.name

    def manifests(self) -> dict[str, bytes]:
        """Content of every manifest."""
        return {
            path.relative_to(self.results).as_posix(): path.read_bytes()
            for path in sorted(self.results.rglob("*.json"))
            if "records" not in path.parts
        }


MICRO, CORE = "tests/workflow/micro.yaml", "tests/workflow/core.yaml"


def copy_project(root: Path) -> Path:
    """A copy of the project's files below `root`, without results and store."""
    for name in TRAVELS:
        source, target = PROJECT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    return root


def run_from_nothing(root: Path, *overlays: str) -> Checkout:
    """A copy of the project below `root` in which the experiment has been run."""
    checkout = Checkout(copy_project(root), overlays)
    checkout.snakemake()
    return checkout


def copy_of(finished: Checkout, root: Path) -> Checkout:
    """A copy of a finished experiment, with the times of its files."""
    shutil.copytree(finished.root, root, symlinks=True)
    # Snakemake compares times: a copy must not make a manifest look newer than its consumers.
    for source in finished.root.rglob("*"):
        stamp = source.stat()
        os.utime(
            root / source.relative_to(finished.root), ns=(stamp.st_atime_ns, stamp.st_mtime_ns)
        )
    return Checkout(root, finished.overlays)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Checkout:
    """The chain, run from nothing. Tests must not touch it: they take `checkout`."""
    return run_from_nothing(tmp_path_factory.mktemp("finished"), MICRO, CORE)


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Checkout:
    """Every evaluation and control, run from nothing. Tests that edit take `whole_checkout`."""
    return run_from_nothing(tmp_path_factory.mktemp("whole"), MICRO)


@pytest.fixture
def checkout(finished, tmp_path) -> Checkout:
    """A copy of the finished chain that the test owns."""
    return copy_of(finished, tmp_path / "checkout")


@pytest.fixture
def whole_checkout(whole, tmp_path) -> Checkout:
    """A copy of the whole finished experiment that the test owns."""
    return copy_of(whole, tmp_path / "checkout")
