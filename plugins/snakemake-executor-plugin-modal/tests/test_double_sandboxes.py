"""Sandboxes of the local Modal server, driven by the real client."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import modal
import pytest
from double_desk import BACKENDS, Sleep, until

pytestmark = pytest.mark.double


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
