"""One `vllm serve` process, which ends with its job at the latest.

::

    start --> /health answers --> /v1/models names the model --> ready --> stop
      |______________ the process ends: one line from its log ______________|

The process runs under :mod:`~.server_watch`, so nothing of it survives the job, however that ends;
its exit, and not a deletion within some process, returns the GPU's memory. Its output goes into one
log file, the last lines of which are shown when it fails.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import full_disk_in_one_line
from latent_ledger.scorers.vllm import faults, server_watch

EXECUTABLE = "LATENT_LEDGER_VLLM"
"""Environment variable with the path of the `vllm` executable, where it is not on the PATH."""
LOOK = 0.5
"""Seconds between two looks at a server that is not ready."""
SAY = 15.0
"""Seconds between two lines about it."""
GRACE = 20.0
"""Seconds between SIGTERM and SIGKILL."""
PORTS = 3
"""Ports to try, should another process take one before the server does."""


class PortTaken(LedgerError):
    """The chosen port is another process's; a further one may be free."""


def executable() -> str:
    """The `vllm` to run: $LATENT_LEDGER_VLLM, on the PATH, or beside this Python."""
    named = os.environ.get(EXECUTABLE, "").strip()
    path = shutil.which(named or "vllm")
    if not path and not named:
        path = shutil.which("vllm", path=str(Path(sys.executable).parent))
    if not path:
        where = f"{EXECUTABLE} names {named!r}, which" if named else "`vllm` is not on the PATH and"
        raise LedgerError(
            f"{where} cannot be run: install envs/scorer.lock into an environment of its own and "
            f"put the path of its bin/vllm into {EXECUTABLE}, or use a scorer of backend openai."
        )
    return path


def command(settings: Mapping[str, Any], port: int) -> list[str]:
    """The command that serves the model of a scorer's `settings` at `port`."""
    return [
        *(executable(), "serve", settings["model"]),
        *("--served-model-name", settings["model"]),
        *(("--revision", settings["revision"]) if settings["revision"] else ()),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--max-model-len", str(settings["max_model_len"])),
        *("--gpu-memory-utilization", str(settings["gpu_memory_utilization"])),
        *("--dtype", settings["dtype"]),
        # Sampling is what a request says, not what the model's folder adds (a penalty, say).
        *("--generation-config", "vllm"),
        "--disable-uvicorn-access-log",
        *settings["arguments"],
    ]


async def start(settings: Mapping[str, Any], log: Path) -> Server:
    """A server that answers; `log` gets its output. Raises one line when there will be none."""
    for left in reversed(range(PORTS)):
        server = Server(settings, log)
        try:
            await server.ready()
            return server
        except BaseException as error:
            server.stop()
            if not (left and isinstance(error, PortTaken)):
                raise
    raise AssertionError("unreachable")


class Server:
    """A running `vllm serve`; :meth:`ready` waits for it, :meth:`stop` ends it for certain."""

    def __init__(self, settings: Mapping[str, Any], log: Path) -> None:
        self.settings, self.log = settings, Path(log)
        self.name = f"vllm serve {settings['model']}"
        with socket.socket() as probe:  # a port that is free now
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.root = f"http://127.0.0.1:{port}"
        run = command(settings, port)
        with full_disk_in_one_line(self.log):
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("wb") as stream:
                self.process = subprocess.Popen(
                    # As a file, and without its folder on the path, whose names shadow others.
                    [sys.executable, "-P", server_watch.__file__, str(GRACE), *run],
                    stdin=subprocess.PIPE,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env={**os.environ, "VLLM_NO_USAGE_STATS": "1"},
                )

    async def ready(self) -> None:
        """Wait until the model answers. Raises one line if the server ends, or takes too long."""
        began = reported = time.monotonic()
        timeout = float(self.settings["startup_timeout"])
        async with httpx.AsyncClient(timeout=5.0, trust_env=False) as http:
            while not await _ok(http, f"{self.root}/health"):
                if ended := self.ended():
                    raise ended
                now = time.monotonic()
                if now - began > timeout:
                    self.show()
                    raise LedgerError(
                        f"{self.name} was not ready after {timeout:g} s; its last words are "
                        f"{self.last_line()!r}: raise startup_timeout, or see {self.log}."
                    )
                if now - reported >= SAY:
                    reported = now
                    line = f"{self.name}: starting for {now - began:.0f} s: {self.last_line()}"
                    print(line, file=sys.stderr, flush=True)
                await asyncio.sleep(LOOK)
            await self._check_model(http)
        print(f"{self.name}: ready after {time.monotonic() - began:.0f} s", file=sys.stderr)

    async def _check_model(self, http: httpx.AsyncClient) -> None:
        """Check that the server on the port serves the model, and is ours."""
        try:
            reply = await http.get(f"{self.root}/v1/models")
            models = [str(model["id"]) for model in reply.json()["data"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise LedgerError(f"{self.name} does not list its models ({error!r}).") from error
        if ended := self.ended():
            raise ended
        if self.settings["model"] not in models:
            raise LedgerError(
                f"{self.name} serves {', '.join(models) or 'nothing'} instead: remove what renames "
                "the model from arguments."
            )

    def ended(self) -> LedgerError | None:
        """Why the server is no more, in one line; None while it runs. Shows its last lines."""
        code = self.process.poll()
        if code is None:
            return None
        text = self.tail()
        if faults.PORT.search(text):
            return PortTaken(f"{self.name} found {PORTS} ports taken, one after the other.")
        self.show()
        return LedgerError(
            f"{self.name} ended (exit code {code}): {faults.cause(text, code)} (log: {self.log})."
        )

    def tail(self) -> str:
        """The last 200 kB of the log."""
        with self.log.open("rb") as stream:
            stream.seek(max(0, self.log.stat().st_size - 200_000))
            return stream.read().decode(errors="replace")

    def last_line(self) -> str:
        """The last line of the log that is not empty, in at most 160 characters."""
        return self.tail().strip().rpartition("\n")[2].strip()[:160]

    def show(self) -> None:
        """Repeat the log's last 20 lines where the job's own lines go."""
        for line in self.tail().splitlines()[-20:]:
            print(f"  vllm | {line}", file=sys.stderr)

    def stop(self) -> None:
        """End the server and everything it started; returns when nothing of it is left."""
        assert self.process.stdin is not None
        self.process.stdin.close()  # the watch's signal to end the group
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE + 5)
        with suppress(ProcessLookupError):  # raised when the group is empty
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        while _runs(self.process.pid):  # until then it may hold the GPU's memory
            time.sleep(0.02)


async def _ok(http: httpx.AsyncClient, url: str) -> bool:
    """True when `url` answers 200; a server that is not up yet answers nothing, or 503."""
    try:
        return (await http.get(url)).status_code == 200
    except httpx.HTTPError:
        return False


def _runs(group: int) -> bool:
    """True while a process of the group runs; one that is dead and not yet collected does not."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended between the listing and the reading
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state not in "ZX":
                return True
    return False
