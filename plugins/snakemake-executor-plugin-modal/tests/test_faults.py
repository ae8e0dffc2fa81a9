"""Injected faults: each gives one line of cause, keeps its log, and is retried where that helps."""

from __future__ import annotations

import pytest
from grpclib import Status
from local_modal import ImageFault, RpcFault, SandboxFault

pytestmark = pytest.mark.slow

SNAKEFILE = """
NAMES = "evicted terminated init late words absent lost_files unschedulable picky".split()

rule all:
    input: expand("{name}.out", name=NAMES)

rule evicted:
    output: "evicted.out"
    log: "evicted.log"
    shell: "echo before the end; sleep 60"

rule terminated:
    output: "terminated.out"
    shell: "sleep 60"

rule init:
    output: "init.out"
    shell: "true"

rule late:
    output: "late.out"
    resources: runtime=1
    shell: "sleep 600"

rule words:
    output: "words.out"
    log: "words.log"
    shell: "echo the reason is plain | tee {log}; exit 3"

rule absent:
    output: "absent.out"
    shell: "true"

rule lost_files:
    output: "lost_files.out"
    shell: "echo x > {output}"

rule unschedulable:
    output: "unschedulable.out"
    resources: gpu=1, gpu_model="L4"
    shell: "true"

rule picky:
    output: "picky.out"
    resources: image="broken"
    shell: "true"
"""


def test_each_fault_gives_one_line_and_keeps_its_log(bench):
    bench.file("Snakefile", SNAKEFILE)
    lock = bench.read("requirements.lock")
    bench.file("broken.lock", lock + "nosuchthing==1.0\n")
    sandboxes = bench.server.faults.sandboxes
    sandboxes.append(SandboxFault("evicted", match="rule=evicted", printed="before the end"))
    sandboxes.append(SandboxFault("terminated", match="rule=terminated", after=1))
    sandboxes.append(SandboxFault("init", match="rule=init"))
    sandboxes.append(SandboxFault("timeout", match="rule=late", after=1))
    sandboxes.append(SandboxFault("uncommitted", match="rule=lost_files"))
    sandboxes.append(SandboxFault("unschedulable", match="rule=unschedulable"))
    bench.server.faults.images.append(ImageFault("nosuchthing", "No solution found"))
    images = ("--modal-images", "default=requirements.lock", "broken=broken.lock")
    run = bench.run("--keep-going", "--latency-wait", "1", *images, ok=False)
    causes = {
        line.split(": ", 1)[0]: line.split(": ", 1)[1]
        for line in run.output.splitlines()
        if ": " in line and line.split(":")[0] in SNAKEFILE and not line.startswith(" ")
    }
    assert causes["evicted"] == "its Sandbox ended without a result: the worker was lost."
    assert causes["terminated"] == "its Sandbox was terminated from outside or evicted."
    assert causes["init"].startswith("its container ended with exit code 1 before the job could")
    assert causes["late"] == "timed out after 1 minutes: give the rule more `runtime`."
    assert causes["words"] == "the reason is plain."
    assert causes["absent"] == "it ended well, but did not make absent.out."
    assert causes["lost_files"] == "its Sandbox ended without a result: the worker was lost."
    assert causes["unschedulable"].startswith("its Sandbox ended before it was scheduled: ")
    assert causes["picky"].startswith("its image could not be built: ")
    assert "No solution found" in causes["picky"] and "modal image logs im-" in causes["picky"]
    assert bench.read("words.log") == "the reason is plain\n"
    logs = {path.name.split("-")[0]: path for path in bench.root.glob(".snakemake/modal/logs/*")}
    assert "the reason is plain" in logs["words"].read_text()
    assert str(logs["words"].relative_to(bench.root)) in run.output
    (attempt,) = bench.attempts("words.log.attempts.jsonl")
    assert (attempt["outcome"], attempt["cause"]) == ("failed", "the reason is plain")
    assert "before the end" in logs["evicted"].read_text()
    assert not bench.alive()


def test_out_of_memory_is_retried_with_more_memory(bench):
    bench.file(
        "Snakefile",
        'rule hungry:\n  output: "x"\n  log: "x.log"\n  resources: mem_mb=400\n'
        '  shell: "test {resources.mem_mb} = 400; echo made > {output}"\n',
    )
    bench.server.faults.sandboxes.append(SandboxFault("oom", match="rule=hungry", after=0.3))
    run = bench.run("--retries", "1")
    assert "hungry: out of memory with mem_mb=400." in run.output
    assert [sandbox.memory for sandbox in bench.server.sandboxes] == [400, 800]
    first, second = bench.attempts("x.log.attempts.jsonl")
    assert (first["outcome"], first["attempt"], first["memory_mib"]) == ("failed", 1, 400)
    assert (second["outcome"], second["attempt"], second["memory_mib"]) == ("done", 2, 800)
    assert second["rates"]["date"] and second["cost_usd"] > 0


def test_retry_that_declares_more_memory_gets_it_although_lists_fail(bench):
    bench.file(
        "Snakefile",
        'rule hungry:\n  output: "x"\n'
        "  resources: mem_mb=lambda wildcards, attempt: 300 * attempt**2\n"
        "  shell: \"python -c 'bytearray(10**13)'; echo {resources.mem_mb} > {output}\"\n",
    )
    bench.server.faults.sandboxes.append(SandboxFault("oom", match="rule=hungry", after=1))
    process = bench.start("--retries", "1")
    bench.wait_until(bench.alive)
    bench.server.faults.rpcs.append(RpcFault("SandboxListV2", Status.INVALID_ARGUMENT, times=3))
    run = bench.finish(process)
    assert "Modal did not list the Sandboxes (InvalidError: injected by the test)" in run.output
    assert [sandbox.memory for sandbox in bench.server.sandboxes] == [300, 1200]
    assert run.code == 1
    assert "out of memory with mem_mb=1200 (MemoryError)" in run.output
