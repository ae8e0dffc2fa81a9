"""The whole laptop experiment twice: here, and through profiles/modal against a local Modal server.

    python benchmarks/modal_whole.py [--jobs 4] [--configfile config/tiny.yaml ...]

Prints the seconds of either run and whether they agree: every row of the two ledgers, without the
columns that describe a run, and every manifest, byte by byte. On Modal each job pays for a process
that starts Snakemake, so two cores take some three times as long. The tests do the same with few
coders (tests/workflow/test_modal.py).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PLUGIN = PROJECT / "plugins/snakemake-executor-plugin-modal"
sys.path[:0] = [str(PROJECT), str(PLUGIN / "tests")]

from local_modal import LocalModal  # noqa: E402

from latent_ledger.ledger import RUN_COLUMNS  # noqa: E402
from tests.workflow.conftest import Checkout, copy_project  # noqa: E402


def run(root: Path, profile: str, configs: list[str], *arguments: str, **environment: str) -> None:
    """Run the experiment below `root`, its progress on this terminal, and print its seconds."""
    command = [
        *(sys.executable, "-m", "snakemake", "results/ledger.md", "--profile", profile),
        *("--quiet", "rules", "host", "--configfile", *configs, *arguments),
    ]
    path = os.pathsep.join([str(root / "src"), str(PLUGIN / "src")])
    own = {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "PYTHONHASHSEED": "0", **environment}
    began = time.monotonic()
    subprocess.run(command, cwd=root, env={**os.environ, **own}, check=True)
    print(f"{profile}: {time.monotonic() - began:.0f} s", flush=True)


def contents(root: Path) -> tuple[dict[str, dict], dict[str, bytes]]:
    """The rows of the ledger below `root` that a rerun must repeat, and the manifests."""
    finished = Checkout(root, ())
    rows = {
        row["run_id"]: {key: value for key, value in row.items() if key not in RUN_COLUMNS}
        for row in finished.rows()
    }
    return rows, finished.manifests()


def main() -> int:
    """Run both, compare; 1 if they differ."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=4, help="Sandboxes at a time")
    parser.add_argument("--configfile", nargs="+", default=["config/tiny.yaml"])
    options = parser.parse_args()
    kernels = {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}
    with tempfile.TemporaryDirectory() as temporary:
        here, there = (copy_project(Path(temporary, name)) for name in ("here", "there"))
        run(here, "profiles/local", options.configfile)
        image = {"HF_HUB_OFFLINE": "1", **kernels}  # other kernels round the last bit otherwise
        with LocalModal(Path(temporary, "modal"), image_environment=image) as server:
            server.secret("huggingface", HF_TOKEN="hf_none")
            for volume in ("latent-ledger", "huggingface-cache"):
                server.volume(volume)
            parallel = ("--jobs", str(options.jobs), "--modal-poll-seconds", "0.2")
            run(there, "profiles/modal", options.configfile, *parallel, **server.environment)
        one, other = contents(here), contents(there)
    for what, left, right in zip(("rows", "manifests"), one, other, strict=True):
        differ = sorted(name for name in left | right if left.get(name) != right.get(name))
        print(f"{what}: {len(left)} here, {len(right)} there, {len(differ)} differ {differ[:5]}")
    return int(one != other)


if __name__ == "__main__":
    sys.exit(main())
