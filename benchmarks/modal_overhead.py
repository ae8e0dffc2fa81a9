"""What the Modal executor adds to a job, against the local Modal server of its tests.

    python benchmarks/modal_overhead.py [--jobs 20] [--many 100]

First `--jobs` jobs of a second each, four at a time: the executor's own time per job is what lies
between the Sandboxes, (4 x wall - sum of their seconds) / jobs, from the first creation to the last
end. Sandboxes get the cores that client and server leave over: in earnest they run elsewhere. Then
`--many` Sandboxes that only sleep: the seconds of the one list call that a look at them makes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

PLUGIN = Path(__file__).parents[1] / "plugins/snakemake-executor-plugin-modal"
sys.path.insert(0, str(PLUGIN / "tests"))

from local_modal import LocalModal  # noqa: E402

SNAKEFILE = """
rule all:
    input: expand("{{n}}.txt", n=range({jobs}))

rule one:
    output: "{{n}}.txt"
    shell: "sleep {seconds}; echo {{wildcards.n}} > {{output}}"
"""


def run(server: LocalModal, folder: Path, jobs: int, parallel: int, seconds: float) -> None:
    """Run `jobs` jobs in a fresh folder."""
    import snakemake

    folder.mkdir()
    (folder / "Snakefile").write_text(SNAKEFILE.format(jobs=jobs, seconds=seconds))
    (folder / "requirements.lock").write_text(f"snakemake=={snakemake.__version__}\n")
    command = [
        *(sys.executable, "-m", "snakemake", "--executor", "modal", "--jobs", str(parallel)),
        *("--modal-volume", "bench", "--modal-poll-seconds", "0.2", "--quiet", "all"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(PLUGIN / "src"), **server.environment}
    subprocess.run(command, cwd=folder, env=environment, check=True)


def looks(server: LocalModal, lock: Path, many: int, times: int = 20) -> list[float]:
    """Seconds of each of `times` looks at `many` living Sandboxes."""
    import modal
    from snakemake_executor_plugin_modal.session import Session
    from snakemake_executor_plugin_modal.settings import ExecutorSettings

    async def look() -> list[float]:
        session = Session(ExecutorSettings(volume="bench", images=[f"default={lock}"]))
        session.client = client
        session.app = await modal.App.lookup.aio("bench", create_if_missing=True, client=client)
        image = modal.Image.debian_slim(python_version="3.11")
        for _ in range(many):
            await modal.Sandbox.create.aio(
                *("sleep", "600"), app=session.app, client=client, image=image, tags={"run": "it"}
            )
        seconds = []
        for _ in range(times):
            began = time.monotonic()
            alive = await session.alive({"run": "it"})
            seconds.append(time.monotonic() - began)
            assert len(alive) == many, f"{len(alive)} of {many} Sandboxes were listed"
        return seconds

    with server.client() as client:
        return asyncio.run(look())


def yielding(folder: Path) -> str:
    """A Python for the Sandboxes that stands back behind the processes being measured."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nexec nice -n 19 {sys.executable} "$@"\n')
    path.chmod(0o755)
    return str(path)


def main() -> None:
    """Print overhead per job and seconds per tick."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--many", type=int, default=100)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        LocalModal(Path(name) / "modal", python=yielding(Path(name))) as server,
    ):
        server.volume("bench")
        run(server, Path(name) / "few", options.jobs, 4, 1.0)
        boxes = list(server.sandboxes)
        wall = max(box.ended for box in boxes) - min(box.created for box in boxes)
        inside = sum(box.ended - box.created for box in boxes)
        overhead = (4 * wall - inside) / len(boxes)
        print(f"{len(boxes)} jobs, 4 at a time: {overhead:.2f} s per job beyond its Sandbox")
        print(f"  ({inside / len(boxes):.2f} s in a Sandbox, its start and Snakemake's included)")
        seconds = looks(server, Path(name) / "few/requirements.lock", options.many)
        print(
            f"{options.many} Sandboxes, {len(seconds)} looks: median {median(seconds):.3f} s, "
            f"slowest {max(seconds):.3f} s"
        )


if __name__ == "__main__":
    main()
