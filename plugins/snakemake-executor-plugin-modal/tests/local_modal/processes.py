"""The processes of a container, for which a subprocess has no kernel object.

Every process of a Sandbox inherits `MODAL_SANDBOX_ID`, whatever session or group it moves to, so
that variable identifies the processes of a Sandbox.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

KILL_SECONDS = 5.0


def processes(sandbox_id: str) -> list[int]:
    """The ids of the living processes of a Sandbox."""
    mark = f"MODAL_SANDBOX_ID={sandbox_id}\0".encode()
    alive = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if mark in (process / "environ").read_bytes():
                    alive.append(int(process.name))
    return alive


def kill(sandbox_id: str) -> None:
    """Kill every process of a Sandbox at once, as the end of a container does."""
    deadline = time.monotonic() + KILL_SECONDS
    while (alive := processes(sandbox_id)) and time.monotonic() < deadline:
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def held_mib(sandbox_id: str) -> float:
    """Memory that only the processes of a Sandbox can give back (anonymous and shared), in MiB."""
    kilobytes = 0
    for pid in processes(sandbox_id):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in ("RssAnon", "RssShmem"):
                    kilobytes += int(value.split()[0])
    return kilobytes / 1024
