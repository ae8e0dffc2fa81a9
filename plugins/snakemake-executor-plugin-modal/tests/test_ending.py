"""Ends of a run: no Sandbox outlives it, and a killed client's Sandboxes are adopted or ended."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest

pytestmark = pytest.mark.slow

SLOW = """
rule all:
    input: "one", "two"

rule slow:
    output: "{name}"
    wildcard_constraints: name="one|two"
    resources: gpu=1, gpu_model="L4", runtime=5
    shell: "sleep {SECONDS}; echo {wildcards.name} > {output}"
"""


GATED = """
rule all:
    input: "one", "two"

rule gated:
    output: "{name}"
    wildcard_constraints: name="one|two"
    shell: "for i in $(seq 3000); do test -e {GATE} && break; sleep 0.1; done; "
           "echo {wildcards.name} > {output}"
"""


def started(bench, count=2):
    """Whether at least `count` commands run."""
    return len([s for s in bench.server.sandboxes if s.state == "running"]) >= count


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_run_after_a_signal_leaves_no_sandbox(bench, number):
    bench.file("Snakefile", "SECONDS = 600\n" + SLOW)
    bench.server.faults.scheduling_seconds = 0.5
    process = bench.start()
    # One signal while Sandboxes run, the other while they are still being scheduled.
    waiting = number is signal.SIGINT
    bench.wait_until(lambda: bench.alive() if waiting else started(bench))
    process.send_signal(number)
    run = bench.finish(process)
    assert run.code == 1
    assert not bench.alive()
    assert {sandbox.status for sandbox in bench.server.sandboxes} == {"TERMINATED"}
    assert "Traceback" not in run.output, run.output
    assert not (bench.root / "one").exists()


def test_next_run_after_a_kill_adopts_equal_work_and_ends_the_rest(bench):
    gate = bench.root.parent / "gate"
    bench.file("Snakefile", f"GATE = {str(gate)!r}\n" + GATED)
    process = bench.start()
    bench.wait_until(lambda: started(bench))
    bench.wait_until(lambda: all((s.folder / "disk").exists() for s in bench.server.sandboxes))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    first = {sandbox.id for sandbox in bench.server.sandboxes}
    assert set(bench.alive()) == first
    bench.run("--unlock")
    # The next run wants "one" only: it adopts that Sandbox, and ends that of "two".
    process = bench.start("one", "--rerun-incomplete")
    for line in process.stdout:
        if "gated name=one: adopted the Sandbox of an earlier run." in line:
            gate.touch()
    assert process.wait() == 0 and gate.exists()
    assert bench.read("one") == "one\n"
    assert {sandbox.id for sandbox in bench.server.sandboxes} == first
    statuses = sorted(sandbox.status for sandbox in bench.server.sandboxes)
    assert statuses == ["SUCCESS", "TERMINATED"]


def test_next_run_with_changed_work_adopts_nothing(bench):
    bench.file("Snakefile", "SECONDS = 600\n" + SLOW)
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


def test_hundred_jobs_are_polled_with_one_list_per_tick(bench):
    # A stand-in for Snakemake inside the Sandboxes: a hundred real ones would take minutes here.
    bench.file("Snakefile", MANY)
    bench.file("fake/snakemake.py", FAKE_SNAKEMAKE)
    run = bench.run("--jobs", "100", "--modal-pythonpath", "fake", "--modal-poll-seconds", "0.2")
    assert len(list(bench.root.glob("*.out"))) == 100 and len(bench.server.sandboxes) == 100
    ticks = json.loads(bench.read(".snakemake/modal/last-run.json"))["ticks"]
    counts = bench.server.rpc_counts
    # A tick lists pages of 50 until an empty one; a few lists belong to the start and the end.
    assert counts["SandboxListV2"] <= 3 * ticks + 6
    assert counts["SandboxWaitV2"] <= 2 * 100 + 20  # two looks at a Sandbox that has ended
    assert re.search(r"101 of 101 steps", run.output)
