"""A fork_server runs scripts as they would run by themselves, and outlives nobody."""

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from latent_ledger.artifacts import fork_server

HAND_OVER = (
    "import sys\n"
    "from latent_ledger.artifacts import fork_server\n"
    "sys.exit(fork_server.run_script() or 0)\n"
)


def wait_for(condition, seconds: float = 60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A fork_server of few libraries, under a main process that the test may kill."""
    main = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    folder = tmp_path / "z"
    monkeypatch.setenv(fork_server.PLACE, f"{fork_server.platform.node()}:{main.pid}:{folder}")
    folder.mkdir()
    start = (
        "from latent_ledger.artifacts import fork_server;"
        "fork_server.LIBRARIES = ('json', 'no_such_library');"
        f"fork_server.main({str(folder)!r}, '{main.pid}')"
    )
    server = subprocess.Popen([sys.executable, "-c", start])
    wait_for((folder / fork_server.SOCKET).exists)
    yield main, server, folder
    main.kill()
    main.wait()
    if server.wait(timeout=30) == 0:  # else a test has killed it
        assert not folder.exists()


def script(tmp_path: Path, text: str) -> list[str]:
    """A command whose process hands itself over; what the child runs is `text`."""
    path = tmp_path / "script.py"
    path.write_text(
        "import os\n"
        f"if {fork_server.PLACE!r} in os.environ:\n"
        + "".join(f"    {line}\n" for line in HAND_OVER.splitlines())
        + text
    )
    return [sys.executable, str(path)]


def test_the_child_has_the_scripts_output_folder_and_environment(place, tmp_path):
    text = "print(os.getcwd(), os.environ['COLOUR'], os.getppid())\nraise SystemExit(3)\n"
    done = subprocess.run(
        script(tmp_path, text),
        cwd=tmp_path,
        env={**os.environ, "COLOUR": "blue"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stderr
    assert done.stdout.split() == [str(tmp_path), "blue", str(place[1].pid)]


def test_child_with_an_exception_prints_it_and_fails(place, tmp_path):
    done = subprocess.run(
        script(tmp_path, "raise ValueError('no such latent')\n"), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "ValueError: no such latent" in done.stderr


MEET = """import json, pathlib, time
print(getattr(json, 'touched', 'clean'))
json.touched = 'touched'
here = pathlib.Path({here!r})
(here / str(os.getpid())).touch()
deadline = time.monotonic() + 60
while len(list(here.iterdir())) < 3 and time.monotonic() < deadline:
    time.sleep(0.01)
print(len(list(here.iterdir())))
"""
"""A script that waits until three of its kind run: one after the other they would never meet."""


def test_a_script_that_is_killed_while_it_hands_over_costs_nothing(place, tmp_path):
    for content in (b"", struct.pack("!I", 99), struct.pack("!I", 99) + b'{"script": '):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(place[2] / fork_server.SOCKET))
            if content:
                socket.send_fds(connection, [content[:4]], [1, 2])
                connection.sendall(content[4:])
    assert subprocess.run(script(tmp_path, "raise SystemExit(3)\n")).returncode == 3
    assert not [
        child
        for child in Path(f"/proc/{place[1].pid}/task").glob("*/children")
        if child.read_text()
    ]


def test_children_run_side_by_side_and_share_no_state(place, tmp_path):
    (tmp_path / "here").mkdir()
    command = script(tmp_path, MEET.format(here=str(tmp_path / "here")))
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [run.communicate()[0].split() for run in runs] == [["clean", "3"]] * 3


def test_a_killed_script_takes_its_child_along(place, tmp_path):
    command = script(tmp_path, "import time\nprint(os.getpid(), flush=True)\ntime.sleep(300)\n")
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    child = run.stdout.readline().strip()
    assert fork_server._alive(child)
    run.kill()
    wait_for(lambda: not fork_server._alive(child))


def test_script_of_a_killed_child_gets_its_signal(place, tmp_path):
    text = "import signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    assert subprocess.run(script(tmp_path, text)).returncode == 256 - signal.SIGKILL


def test_children_of_a_killed_fork_server_die_and_their_scripts_go_on(place, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(
        "import os, time\nfrom latent_ledger.artifacts import fork_server\n"
        f"if {fork_server.PLACE!r} in os.environ:\n"
        "    print(fork_server.run_script(), flush=True)\n"
        "else:\n    print(os.getpid(), flush=True)\n    time.sleep(300)\n"
    )
    run = subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, text=True)
    child = run.stdout.readline().strip()
    place[1].kill()
    assert run.communicate(timeout=30)[0].strip() == "None"
    wait_for(lambda: not fork_server._alive(child))


@pytest.mark.parametrize("where", ["elsewhere:{pid}:{folder}", "{node}:999999999:{folder}"])
def test_run_script_without_its_machine_or_main_process_has_no_server(tmp_path, monkeypatch, where):
    folder = tmp_path / "z"
    place = where.format(pid=os.getpid(), node=fork_server.platform.node(), folder=folder)
    monkeypatch.setenv(fork_server.PLACE, place)
    assert fork_server.run_script() is None
    assert not folder.exists()


def test_run_script_without_an_offer_returns_none(monkeypatch):
    monkeypatch.delenv(fork_server.PLACE, raising=False)
    assert fork_server.run_script() is None


def test_first_calls_start_one_server_and_do_not_wait(tmp_path, monkeypatch):
    folder, calls = tmp_path / "z", []
    monkeypatch.setenv(fork_server.PLACE, f"{fork_server.platform.node()}:{os.getpid()}:{folder}")
    monkeypatch.setattr(fork_server.subprocess, "Popen", lambda *a, **k: calls.append((a, k)))
    assert fork_server.run_script() is None and fork_server.run_script() is None
    assert len(calls) == 1 and calls[0][1]["env"]["OMP_NUM_THREADS"] == "1"
    assert folder.stat().st_mode & 0o777 == 0o700
