"""The whole laptop experiment twice: here, and through profiles/modal against a local Modal server.

    python benchmarks/modal_whole.py [--jobs 4] [--overlays tests/workflow/micro.yaml ...]

Prints the seconds of either run and whether they agree: every row of the two ledgers, without the
columns that describe a run, and every manifest, byte by byte. On Modal each job pays for a process
that starts Snakemake, so two cores take some three times as long. The tests do the same with few
coders (tests/workflow/test_modal.py).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PLUGIN = PROJECT / "plugins/snakemake-executor-plugin-modal"
sys.path[:0] = [str(PROJECT), str(PLUGIN / "tests")]

from local_modal import LocalModal  # noqa: E402

from tests.workflow.conftest import SANDBOX, Checkout, copy_project  # noqa: E402


def run(checkout: Checkout, *arguments: str) -> None:
    """Run the experiment, its progress on this terminal, and print its seconds."""
    command = checkout.command("--quiet", "rules", "host", *arguments)
    began = time.monotonic()
    subprocess.run(command, cwd=checkout.root, env=checkout.variables(), check=True)
    print(f"{checkout.profile}: {time.monotonic() - began:.0f} s", flush=True)


def main() -> int:
    """Run both, compare; 1 if they differ."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=4, help="Sandboxes at a time")
    parser.add_argument("--overlays", nargs="*", default=[], help="laid over config/tiny.yaml")
    options = parser.parse_args()
    seed = {"PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as temporary:
        roots = [copy_project(Path(temporary, name)) for name in ("here", "there")]
        here = Checkout(roots[0], tuple(options.overlays), environment=seed)
        run(here)
        with LocalModal(Path(temporary, "modal"), image_environment=SANDBOX) as server:
            server.secret("huggingface", HF_TOKEN="hf_none")
            for volume in ("latent-ledger", "huggingface-cache"):
                server.volume(volume)
            there = Checkout(roots[1], here.overlays, "profiles/modal", server.environment | seed)
            run(there, "--jobs", str(options.jobs), "--modal-poll-seconds", "0.2")
        at_home, away = ((side.numbers(), side.manifests()) for side in (here, there))
    for what, left, right in zip(("rows", "manifests"), at_home, away, strict=True):
        differ = sorted(name for name in left | right if left.get(name) != right.get(name))
        print(f"{what}: {len(left)} here, {len(right)} there, {len(differ)} differ {differ[:5]}")
    return int(at_home != away)


if __name__ == "__main__":
    sys.exit(main())
