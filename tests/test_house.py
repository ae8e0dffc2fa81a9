"""House rules that a machine can check: Snakemake's lint, set-up errors, the two commands."""

import os
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.project import PROJECT

BIN = Path(sys.executable).parent


def run(*command, **options):
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, **options)


@pytest.mark.slow
def test_snakemake_lint_asks_for_nothing_but_conda_or_containers():
    done = run(BIN / "snakemake", "--lint", "--profile", "profiles/local")
    lints = re.findall(r"^\s+\* (.*)", done.stdout + done.stderr, re.MULTILINE)
    assert lints, done.stderr
    assert set(lints) == {"Specify a conda environment or container for each rule.:"}


def test_rules_take_the_names_of_manifests_from_the_plan():
    """A pattern written by hand can differ from the name that the plan gives."""
    for path in sorted((PROJECT / "rules").glob("*.smk")):
        assert not re.findall(r"""\bat\(f?['"].*\.json""", path.read_text()), path.name


@pytest.mark.parametrize(
    "page", sorted((PROJECT / "docs").glob("add-*.md")), ids=lambda page: page.stem
)
def test_a_page_on_adding_a_thing_is_shorter_than_a_printed_page(page):
    """Five hundred words, its code among them."""
    assert len(page.read_text(encoding="utf-8").split()) < 500


def test_ci_calls_exactly_the_readmes_test_command():
    commands = (PROJECT / ".ci/run").read_text().splitlines()
    assert commands[-1] == "exec make test"
    assert re.search(r"^\$ make test\b", (PROJECT / "README.md").read_text(), re.MULTILINE)


def locked(name: str) -> dict[str, str]:
    """Package -> version of a lock file, every line of which must pin one."""
    lines = (PROJECT / "envs" / name).read_text().splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[^\s]+", line) for line in packages)
    pairs = [line.split("==") for line in packages]
    return {name.lower().replace("_", "-"): version for name, version in pairs}


def test_the_lock_file_is_complete_and_pinned():
    names = set(locked("ledger.lock"))
    assert not names & {"torch", "torchvision", "vllm", "triton"}
    assert names >= {"snakemake", "eai-sparsify", "transformer-lens", "sae-lens", "jsonschema"}


def test_the_scorers_lock_has_its_own_torch_and_shares_what_results_pass_through():
    scorer, ledger = locked("scorer.lock"), locked("ledger.lock")
    assert scorer["torch"] != "2.13.0" and "vllm" in scorer
    for shared in ("snakemake", "pyarrow", "eai-delphi", "httpx"):
        assert scorer[shared] == ledger[shared]
    needs = [Requirement(line) for line in requires("eai-delphi")]
    wanted = {need.name.lower().replace("_", "-") for need in needs if need.marker is None}
    assert wanted <= set(scorer), wanted - set(scorer)


@pytest.fixture
def fresh(tmp_path):
    """A checkout without an environment, and a PATH whose tools a test can replace."""
    plugin = "plugins/snakemake-executor-plugin-modal/pyproject.toml"
    for name in ("envs/setup.sh", "envs/ledger.lock", "pyproject.toml", plugin):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((PROJECT / name).read_text())
    (tmp_path / "bin").mkdir()

    def tool(name: str, body: str) -> None:
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def setup() -> subprocess.CompletedProcess:
        environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
        environment.pop("PYTHON", None)
        return subprocess.run(
            ["bash", "envs/setup.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    return tool, setup, tmp_path


def python_whose_venv_runs(body: str, python: Path) -> str:
    """A shell script in the role of Python 3.11: `-m venv` makes a `python` that runs `body`."""
    make = f'mkdir -p {python.parent}; printf "#!/bin/sh\\n{body}\\n" > {python}'
    return f'case "$1" in -c) echo 3.11;; -m) {make}; chmod +x {python};; esac'


def failed_in_one_line(done) -> str:
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    return line


def test_a_wrong_python_is_one_line(fresh):
    tool, setup, _ = fresh
    tool("python3.11", "echo 3.9")
    line = failed_in_one_line(setup())
    assert "is Python 3.9" in line and "make PYTHON=/path/to/python3.11" in line


def test_a_full_disk_is_one_line(fresh):
    tool, setup, _ = fresh
    tool("df", 'printf "h\\n/dev/x 1 1 1048576 1%% /\\n"')
    assert "1 GiB free and the environment needs up to 8 GiB" in failed_in_one_line(setup())


def test_a_failed_download_is_one_line_and_leaves_no_ready_environment(fresh):
    tool, setup, root = fresh
    python = root / ".venv/bin/python"
    tool("python3.11", python_whose_venv_runs("echo no route to host; exit 1", python))
    line = failed_in_one_line(setup())
    assert "could not install torch==2.13.0 (no route to host); check the network" in line
    assert not list((root / ".venv").glob("ready-*"))


def test_a_second_setup_does_nothing(fresh):
    tool, setup, root = fresh
    python = root / ".venv/bin/python"
    tool("python3.11", python_whose_venv_runs("exit 0", python))
    assert "setup: done" in setup().stdout
    assert (setup().stdout, setup().returncode) == ("", 0)


def test_the_plugin_is_set_up_too_and_its_version_counts(fresh):
    tool, setup, root = fresh
    python = root / ".venv/bin/python"
    called = root / "called"
    tool("python3.11", python_whose_venv_runs(f"echo \\$* >> {called}", python))
    setup()
    lines = called.read_text().splitlines()
    assert [line.split()[-2:] for line in lines[-2:]] == [
        ["-e", "."],
        ["-e", "plugins/snakemake-executor-plugin-modal"],
    ]
    pyproject = root / "plugins/snakemake-executor-plugin-modal/pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('version = "', 'version = "9.'))
    assert "setup: done" in setup().stdout
