"""Faults and limits of the local Modal server, as the real client meets them."""

from __future__ import annotations

import asyncio

import modal
import pytest
from double_desk import Sleep, until
from grpclib import Status
from local_modal import RpcFault, SandboxFault

pytestmark = pytest.mark.double


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("evicted", 0, "INTERNAL_FAILURE"),
        ("oom", 137, "KERNEL_OOM_KILL"),
        ("terminated", 137, "TERMINATED"),
        ("timeout", 124, "TIMEOUT"),
        ("init", 1, "INIT_FAILURE"),
    ],
)
def test_sandbox_fault_gives_its_code_to_the_matching_sandbox_only(desk, kind, code, status):
    desk.server.faults.sandboxes.append(SandboxFault(kind, match="rule=bad", after=0.1))

    bad = desk.create("bash", "-c", "sleep 30", tags={"rule": "bad"})
    good = desk.run("true", tags={"rule": "good"})
    until(lambda: bad.poll() is not None)
    retried = desk.run("true", tags={"rule": "bad"})

    assert (bad.returncode, desk.server.sandboxes[0].status) == (code, status)
    assert good.returncode == retried.returncode == 0


def test_evicted_sandbox_loses_writes_without_sync(desk):
    desk.server.faults.sandboxes.append(SandboxFault("evicted", printed="both written"))
    script = "echo 1 > /store/kept; sync /store; echo 2 > /store/lost; echo both written; sleep 600"

    sandbox = desk.create("bash", "-c", script, volumes={"/store": desk.volume()})
    until(lambda: sandbox.poll() is not None)

    assert [path.name for path in desk.server.volume("store").iterdir()] == ["kept"]


def test_lost_commit_leaves_success_without_files(desk):
    desk.server.faults.sandboxes.append(SandboxFault("uncommitted"))

    script = "echo 1 > /store/a; sync /store && echo synced"
    sandbox = desk.run("bash", "-c", script, volumes={"/store": desk.volume()})

    assert (sandbox.returncode, sandbox.stdout.read()) == (0, "synced\n")
    assert not list(desk.server.volume("store").iterdir())


def test_hung_sandbox_counts_as_running_until_its_timeout(desk):
    desk.server.faults.sandboxes.append(SandboxFault("hung", times=2))
    sleep = Sleep()
    lasting = desk.create(*sleep.command, timeout=600)
    until(lambda: desk.server.sandboxes[0].process is not None and not sleep.runs())
    assert lasting.poll() is None

    short = desk.create("sleep", "600", timeout=1)
    with pytest.raises(modal.exception.SandboxTimeoutError):
        short.wait()


def test_memory_limit_when_exceeded_kills_the_sandbox(desk):
    script = "x = b'1' * (200 << 20); import time; time.sleep(30)"

    small = desk.run("python", "-c", script, memory=(64, 128))
    assert (small.returncode, desk.server.sandboxes[0].status) == (137, "KERNEL_OOM_KILL")
    large = desk.run("python", "-c", script.partition(";")[0], memory=(64, 512))
    assert large.returncode == 0


def test_create_waits_for_a_worker_with_a_gpu_only(desk):
    desk.server.faults.scheduling_seconds = 0.5
    desk.create("sleep", "600", gpu="A100-40GB")
    assert desk.server.sandboxes[0].state == "running"

    desk.server.faults.sandboxes.append(SandboxFault("pending"))
    desk.create("true")
    assert desk.server.sandboxes[1].state == "pending"


def test_gpu_that_is_unknown_or_unavailable_is_refused(desk):
    with pytest.raises(modal.exception.InvalidError, match="POTATO"):
        desk.create("true", gpu="potato")
    desk.server.faults.sandboxes.append(SandboxFault("unschedulable"))
    with pytest.raises(modal.exception.ConflictError, match="No worker"):
        desk.create("true", gpu="L4")


def test_rpc_fault_fails_or_delays_the_next_calls(desk):
    desk.create("sleep", "30")
    exhausted = RpcFault("SandboxListV2", Status.RESOURCE_EXHAUSTED, "slow down")
    desk.server.faults.rpcs.append(exhausted)
    with pytest.raises(modal.exception.ResourceExhaustedError, match="slow down"):
        list(modal.Sandbox.list(app_id=desk.app.app_id, client=desk.client))

    desk.server.faults.rpcs.append(RpcFault("SandboxListV2", Status.UNAVAILABLE, times=2))
    assert len(list(modal.Sandbox.list(app_id=desk.app.app_id, client=desk.client))) == 1
    desk.server.faults.rpcs.append(RpcFault("SandboxListV2", delay=600))

    async def listed() -> list[modal.Sandbox]:
        listing = modal.Sandbox.list.aio(app_id=desk.app.app_id, client=desk.client)
        return [sandbox async for sandbox in listing]

    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(listed(), timeout=0.5))
    assert len(asyncio.run(listed())) == 1
