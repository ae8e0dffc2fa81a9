"""The local Modal server itself: its token, its environment, its end."""

from __future__ import annotations

import subprocess
import sys

import modal
import pytest
from double_desk import Desk, Sleep, until
from local_modal import LocalModal

pytestmark = pytest.mark.double


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
