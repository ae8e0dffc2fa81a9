"""Tests of the local Modal server, driven by the real client: its services and its faults."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import modal
import pytest
from grpclib import Status
from local_modal import ImageFault, LocalModal, RpcFault, SandboxFault

pytestmark = pytest.mark.double
BACKENDS = pytest.mark.parametrize("gpu", [None, "L4"], ids=["second backend", "first backend"])


class Desk:
    """The calls of the real client, bound to one server and its token."""

    def __init__(self, server: LocalModal, client: modal.Client) -> None:
        self.server = server
        self.client = client
        self.app = modal.App.lookup("tests", create_if_missing=True, client=client)
        self.image = modal.Image.debian_slim(python_version="3.11")

    def create(self, *command: str, **settings) -> modal.Sandbox:
        """Create a Sandbox in the app, by default with the plain image."""
        settings.setdefault("image", self.image)
        return modal.Sandbox.create(*command, app=self.app, client=self.client, **settings)

    def run(self, *command: str, **settings) -> modal.Sandbox:
        """Create a Sandbox and wait for its end."""
        sandbox = self.create(*command, **settings)
        sandbox.wait(raise_on_termination=False)
        return sandbox

    def volume(self, name: str = "store", **settings) -> modal.Volume:
        """A Volume by name, made if missing."""
        settings.setdefault("create_if_missing", True)
        return modal.Volume.from_name(name, version=2, client=self.client, **settings)


class Sleep:
    """A command that no other process on this machine runs: `sleep` for a unique time."""

    def __init__(self) -> None:
        self.seconds = f"600.{uuid.uuid4().int}"
        self.command = ("sleep", self.seconds)

    def runs(self) -> bool:
        """Whether a process has the command among its arguments."""
        for arguments in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if self.seconds.encode() in arguments.read_bytes().split(b"\0"):
                    return True
            except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
                continue
        return False


@pytest.fixture
def server(tmp_path):
    with LocalModal(tmp_path / "modal") as server:
        yield server


@pytest.fixture
def desk(server):
    with server.client() as client:
        yield Desk(server, client)


# Sandboxes


@BACKENDS
def test_command_in_a_sandbox_gives_its_output_and_exit_code(desk, gpu):
    sandbox = desk.run("bash", "-c", "echo out; echo problem >&2; exit 3", gpu=gpu, memory=64)

    assert (sandbox.returncode, sandbox.poll()) == (3, 3)
    assert (sandbox.stdout.read(), sandbox.stderr.read()) == ("out\n", "problem\n")
    assert [entry.message for entry in sandbox.logs.tail(10)] == ["out\n", "problem\n"]
    assert [entry.message for entry in sandbox.logs.tail(1)] == ["problem\n"]
    record = desk.server.sandboxes[0]
    assert (record.backend, record.gpu, record.memory) == (1 if gpu else 2, gpu or "", 64)
    assert (record.status, record.returncode, record.state) == ("FAILURE", 3, "finished")
    assert record.created <= record.started <= record.ended


@BACKENDS
def test_sandbox_when_terminated_leaves_the_list_and_keeps_its_code(desk, gpu):
    sandbox = desk.create("sleep", "60", gpu=gpu, tags={"run": "a", "rule": "train"})

    assert sandbox.poll() is None
    listed = list(modal.Sandbox.list(app_id=desk.app.app_id, client=desk.client))
    assert [living.object_id for living in listed] == [sandbox.object_id]
    assert sandbox.get_tags() == {"run": "a", "rule": "train"}
    sandbox.terminate()
    sandbox.wait(raise_on_termination=False)
    assert sandbox.poll() == 137
    assert not list(modal.Sandbox.list(app_id=desk.app.app_id, client=desk.client))
    again = modal.Sandbox.from_id(sandbox.object_id, client=desk.client)
    assert again.returncode == 137


@BACKENDS
def test_sandbox_after_its_timeout_has_ended_with_its_children(desk, gpu):
    sleep = Sleep()
    command = " ".join(sleep.command)
    sandbox = desk.create("bash", "-c", f"setsid {command} & {command}", gpu=gpu, timeout=3)
    until(sleep.runs)

    with pytest.raises(modal.exception.SandboxTimeoutError):
        sandbox.wait()
    assert sandbox.poll() == 124
    until(lambda: not sleep.runs())


def test_environment_of_a_sandbox_holds_only_its_settings_and_secrets(desk, monkeypatch):
    monkeypatch.setenv("LEAK", "from the caller")
    desk.server.secret("huggingface", HF_TOKEN="hf_x")
    secrets = [
        modal.Secret.from_name("huggingface", client=desk.client),
        modal.Secret.from_dict({"PLAIN": "p"}),
    ]
    image = desk.image.env({"FROM_IMAGE": "two words"})
    script = "echo $HF_TOKEN,$PLAIN,$FROM_IMAGE,$LEAK,$OWN; pwd; echo $HOME; echo $TMPDIR"

    sandbox = desk.run(
        "bash", "-c", script, image=image, secrets=secrets, env={"OWN": "o"}, workdir="/job"
    )

    values, *paths = sandbox.stdout.read().splitlines()
    record = desk.server.sandboxes[0]
    assert values == "hf_x,p,two words,,o"
    assert paths == [str(record.folder / "disk" / name) for name in ("job", "root", "tmp")]
    assert (record.secrets, record.workdir) == (("huggingface",), "/job")


def test_hundred_sandboxes_run_at_once_and_are_listed_in_pages(desk):
    with ThreadPoolExecutor(20) as pool:
        tags = [{"run": "x" if n % 2 else "y"} for n in range(100)]
        list(pool.map(lambda tag: desk.create("sleep", "600", tags=tag), tags))
    until(lambda: {record.state for record in desk.server.sandboxes} == {"running"})
    before = desk.server.rpc_counts["SandboxListV2"]
    everything = list(modal.Sandbox.list(app_id=desk.app.app_id, client=desk.client))
    assert len({sandbox.object_id for sandbox in everything}) == 100
    assert desk.server.rpc_counts["SandboxListV2"] - before == 3
    half = modal.Sandbox.list(app_id=desk.app.app_id, tags={"run": "x"}, client=desk.client)
    assert len(list(half)) == 50


def test_exec_in_a_running_sandbox_takes_input_and_gives_output_and_code(desk):
    sandbox = desk.create("sleep", "60")

    process = sandbox.exec("bash", "-c", "cat; exit 4", env={"A": "1"})
    process.stdin.write("through stdin")
    process.stdin.write_eof()
    process.stdin.drain()

    assert process.stdout.read() == "through stdin"
    assert process.wait() == 4


# Volumes


def test_volume_files_are_uploaded_read_listed_and_removed(desk):
    volume = desk.volume()
    large = b"start" + b"\0" * (9 << 20) + b"end" + b"\0" * 10  # two blocks, zeros at both ends
    with volume.batch_upload() as batch:
        batch.put_file(BytesIO(large), "/deep/large.bin")
        batch.put_file(BytesIO(b""), "/empty")

    assert b"".join(volume.read_file("deep/large.bin")) == large
    assert (desk.server.volume("store") / "deep/large.bin").read_bytes() == large
    assert sorted(entry.path for entry in volume.listdir("/", recursive=True)) == [
        *("deep", "deep/large.bin", "empty")
    ]
    with pytest.raises(FileExistsError), volume.batch_upload() as batch:
        batch.put_file(BytesIO(b"other"), "/empty")
    volume.remove_file("deep", recursive=True)
    with pytest.raises(FileNotFoundError):
        b"".join(volume.read_file("deep/large.bin"))
    with pytest.raises(modal.exception.NotFoundError):
        volume.listdir("/nowhere")


def test_volume_writes_reach_others_after_sync_and_after_the_end(desk):
    mounts = {"/store": desk.volume()}
    script = "echo 1 > /store/early; sync /store; echo 2 > /store/late; sleep 30"
    writer = desk.create("bash", "-c", script, volumes=mounts)
    committed = desk.server.volume("store")
    until(lambda: (committed / "early").exists())

    reader = desk.run("bash", "-c", "cd /store; ls", volumes=mounts)
    assert reader.stdout.read() == "early\n"
    assert not (committed / "late").exists()
    writer.terminate()
    writer.wait(raise_on_termination=False)
    assert (committed / "late").read_text() == "2\n"


def test_volume_commit_removes_files_and_keeps_those_of_others(desk):
    volume = desk.server.volume("store")
    (volume / "old").write_text("old")
    mounts = {"/store": desk.volume()}
    slow = desk.create("bash", "-c", "rm /store/old; sleep 1", volumes=mounts)
    until(lambda: desk.server.sandboxes[0].state == "running")
    desk.run("bash", "-c", "echo new > /store/new", volumes=mounts)

    slow.wait()

    assert sorted(path.name for path in volume.iterdir()) == ["new"]


def test_volume_write_into_a_committed_file_shows_after_the_commit_only(desk):
    big = "x" * 20_000
    (desk.server.volume("store") / "log").write_text("1")
    script = f"printf {big} > /store/own; sync /store; echo 2 > /store/own; echo 2 > /store/log"
    mounts = {"/store": desk.volume()}

    desk.create("bash", "-c", script + "; touch /tmp/done; sleep 30", volumes=mounts)
    record = desk.server.sandboxes[0]
    until(lambda: (record.folder / "disk/tmp/done").exists())

    committed = desk.server.volume("store")
    assert ((committed / "own").read_text(), (committed / "log").read_text()) == (big, "1")


def test_volume_with_changing_files_can_be_mounted(desk):
    volume = desk.volume()
    with volume.batch_upload() as batch:
        for n in range(40):
            batch.put_file(BytesIO(b"x"), f"/jobs/{n}/in")

    def run(n: int) -> int:
        sandbox = desk.run("test", "-e", f"/store/jobs/{n}/in", volumes={"/store": volume})
        volume.remove_file(f"jobs/{n}", recursive=True)
        return sandbox.returncode

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(run, range(40))) == {0}
    assert {record.status for record in desk.server.sandboxes} == {"SUCCESS"}
    assert not list((desk.server.volume("store") / "jobs").iterdir())


def test_sync_that_fails_has_an_error_in_the_sandbox(desk):
    desk.server.faults.sync_fails = 1
    script = "echo 1 > /store/a; sync /store || echo refused; sync /store && echo done"

    sandbox = desk.run("bash", "-c", script, volumes={"/store": desk.volume()})

    assert sandbox.stdout.read() == "refused\ndone\n"
    assert "Input/output error" in sandbox.stderr.read()


def test_volume_or_secret_that_is_absent_raises_not_found(desk):
    with pytest.raises(modal.exception.NotFoundError, match="nowhere"):
        desk.volume("nowhere", create_if_missing=False).hydrate()
    secret = modal.Secret.from_name("huggingface", required_keys=["HF_TOKEN"], client=desk.client)
    with pytest.raises(modal.exception.NotFoundError, match="huggingface"):
        secret.hydrate()
    desk.server.secret("huggingface", OTHER="x")
    with pytest.raises(modal.exception.NotFoundError, match="HF_TOKEN"):
        secret.hydrate()


# Images


def test_images_with_equal_definitions_are_built_once_with_their_files(desk, tmp_path):
    (tmp_path / "lock").write_text("numpy==1.26.4\n")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "run.py").write_text("print('ran')")
    plain = modal.Image.from_registry("ubuntu:22.04", add_python="3.11")

    def image():
        built = plain.pip_install_from_requirements(tmp_path / "lock")
        return built.add_local_dir(tmp_path / "code", "/code")

    first = desk.run("python", "/code/run.py", image=image())
    layers = len(desk.server.images)
    second = desk.run("/usr/local/bin/python3", "/code/run.py", image=image())

    assert first.stdout.read() == second.stdout.read() == "ran\n"
    assert len(desk.server.images) == layers
    assert [layer.builds for layer in desk.server.images] == [1] * layers
    assert "FROM ubuntu:22.04" in desk.server.sandboxes[0].image.all_commands
    assert "numpy==1.26.4" in desk.server.sandboxes[0].image.text


def test_image_that_does_not_build_raises_its_message(desk):
    desk.server.faults.images.append(ImageFault("nosuchpackage", "no matching distribution"))

    with pytest.raises(modal.exception.ImageBuildError, match="no matching distribution"):
        desk.create("true", image=desk.image.pip_install("nosuchpackage"))
    assert not desk.server.sandboxes


# Faults


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


def test_wrong_token_is_the_clients_auth_error(server):
    with (
        server.client(("ak-wrong", "as-wrong")) as client,
        pytest.raises(modal.exception.AuthError),
    ):
        client.hello()


def test_environment_connects_another_process(server):
    script = "import modal; modal.Client.from_env().hello(); print('hello')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": "/usr/bin", **server.environment},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "hello\n", done.stderr


def test_unreachable_server_raises_and_keeps_its_sandboxes(desk):
    sandbox = desk.create("sleep", "30")
    with desk.server.unreachable(), pytest.raises((OSError, modal.exception.Error)):
        sandbox.poll()
    assert sandbox.poll() is None
    assert desk.server.sandboxes[0].state == "running"


def test_rpc_without_an_implementation_names_itself(desk):
    with pytest.raises(modal.exception.UnimplementedError, match="QueueGetOrCreate"):
        modal.Queue.from_name("q", create_if_missing=True, client=desk.client).hydrate()


def test_server_at_its_end_leaves_no_process(tmp_path):
    sleep = Sleep()
    with LocalModal(tmp_path / "modal") as server, server.client() as client:
        Desk(server, client).create(*sleep.command)
        until(sleep.runs)
    assert not sleep.runs()


def until(done: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for `done()`; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
