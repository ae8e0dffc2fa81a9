"""The processes of a container, which a subprocess has no kernel object for.

Every process of a Sandbox inherits `MODAL_SANDBOX_ID`, whatever session or group it moves to, so
that variable tells whose it is.
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
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if mark in (process / "environ").read_bytes():
                    found.append(int(process.name))
    return found


def kill(sandbox_id: str) -> None:
    """Kill every process of a Sandbox, the way a container ends: without a last word."""
    deadline = time.monotonic() + KILL_SECONDS
    while (alive := processes(sandbox_id)) and time.monotonic() < deadline:
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def resident_mib(sandbox_id: str) -> float:
    """Memory held by the processes of a Sandbox, in MiB (shared pages count in each)."""
    pages = 0
    for pid in processes(sandbox_id):
        with contextlib.suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
