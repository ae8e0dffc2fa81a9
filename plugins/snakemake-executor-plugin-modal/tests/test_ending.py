"""However a run ends, no Sandbox outlives it; what a killed client left is adopted or ended."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import pytest

SLOW = """
rule all:
    input: "one", "two"

rule slow:
    output: "{name}"
    wildcard_constraints: name="one|two"
    resources: gpu=1, gpu_model="L4", runtime=5
    shell: "sleep {SECONDS}; echo {wildcards.name} > {output}"
"""


def started(bench, count=2):
    """Whether so many commands run."""
    return len([s for s in bench.server.sandboxes if s.state == "running"]) >= count


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_leaves_no_sandbox(bench, number):
    bench.file("Snakefile", "SECONDS = 60\n" + SLOW)
    bench.server.faults.scheduling_seconds = 0.5
    process = bench.start()
    # One signal while Sandboxes run, the other while they are still being scheduled.
    waiting = number is signal.SIGINT
    bench.wait_until(lambda: bench.alive() if waiting else started(bench))
    sent = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1 and time.monotonic() - sent < 10
    assert not bench.alive()
    assert {sandbox.status for sandbox in bench.server.sandboxes} == {"TERMINATED"}
    assert "Traceback" not in output, output
    assert not (bench.root / "one").exists()


def test_the_next_run_adopts_equal_work_and_ends_the_rest(bench):
    bench.file("Snakefile", "SECONDS = 12\n" + SLOW)
    process = bench.start()
    bench.wait_until(lambda: started(bench))
    bench.wait_until(lambda: all((s.folder / "disk").exists() for s in bench.server.sandboxes))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    first = {sandbox.id for sandbox in bench.server.sandboxes}
    assert set(bench.alive()) == first
    bench.run("--unlock")
    # "two" is somebody else's wish now, so its Sandbox is ended; "one" is taken over.
    run = bench.run("one", "--rerun-incomplete")
    assert "slow name=one: adopted the Sandbox of an earlier run." in run.output
    assert bench.read("one") == "one\n"
    assert {sandbox.id for sandbox in bench.server.sandboxes} == first
    statuses = sorted(sandbox.status for sandbox in bench.server.sandboxes)
    assert statuses == ["SUCCESS", "TERMINATED"]


def test_changed_work_is_not_adopted(bench):
    bench.file("Snakefile", "SECONDS = 60\n" + SLOW)
    process = bench.start("one")
    bench.wait_until(lambda: started(bench, 1))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    bench.run("--unlock")
    bench.file("Snakefile", "SECONDS = 0\n" + SLOW)
    bench.run("one", "--rerun-incomplete")
    assert [s.status for s in bench.server.sandboxes] == ["TERMINATED", "SUCCESS"]


MANY = """
rule all:
    input: expand("{n}.out", n=range(100))

rule short:
    output: "{n}.out"
    resources: mem_mb=50
    shell: "true"
"""

FAKE_SNAKEMAKE = """
import pathlib, re, sys, time
number = re.search(r"n=(\\d+)", " ".join(sys.argv))[1]
time.sleep(3)
pathlib.Path(f"{number}.out").write_text("made")
"""


def test_a_hundred_jobs_are_polled_with_one_list_per_tick(bench):
    # A stand-in for Snakemake inside the Sandboxes: a hundred real ones would take minutes here.
    bench.file("Snakefile", MANY)
    bench.file("fake/snakemake.py", FAKE_SNAKEMAKE)
    run = bench.run("--jobs", "100", "--modal-pythonpath", "fake", "--modal-poll-seconds", "0.2")
    assert len(list(bench.root.glob("*.out"))) == 100 and len(bench.server.sandboxes) == 100
    told = json.loads(bench.read(".snakemake/modal/last-run.json"))
    counts = bench.server.rpc_counts
    # The slowest tick shares two cores with the birth of a hundred Sandboxes, server included.
    assert told["median_tick_seconds"] < 0.5 and told["slowest_tick_seconds"] < 3.0, told
    # A tick lists pages of 50 until an empty one; a few lists belong to the start and the end.
    assert counts["SandboxListV2"] <= 3 * told["ticks"] + 6
    assert counts["SandboxWaitV2"] <= 2 * 100 + 20  # two looks at a Sandbox that has ended
    assert re.search(r"101 of 101 steps", run.output)
