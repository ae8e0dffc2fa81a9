"""Fork server: a process that has the heavy libraries loaded, and forks jobs from itself.

A job of the laptop experiment computes for seconds and would import torch, transformers and SAELens
for just as long. The first job that has to compute starts a *fork server* in the background, which
imports them once. A later job whose key the store lacks hands its script over::

    script (store missed) --script, cwd, environment, stdout, stderr--> server --fork--> child
    script ends with the child's exit code  <-------------------------- server <--exit--

* The server loads no module of this project but this one, so the child reads the code as it is.
* No job waits for the server. While it loads, or where it cannot run, the job imports by itself.
* The server takes jobs of one thread, because OpenMP's threads do not survive a fork. It serves
  only the machine and the main process that started it; without :data:`PLACE` nothing changes.
* A child ends with the script that waits for it, the server with the workflow's main process.
"""

import contextlib
import ctypes
import importlib
import json
import os
import platform
import runpy
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import uuid
from pathlib import Path
from typing import cast

PLACE = "LATENT_LEDGER_FORK_SERVER"
"""Environment variable: ``<machine>:<pid of the main process>:<folder of the socket>``."""

LIBRARIES = (
    "numpy",
    "pyarrow.parquet",
    "torch",
    "transformers.modeling_utils",
    "transformers.models.auto.modeling_auto",
    "transformers.models.gpt_neox.modeling_gpt_neox",
    "scipy.stats",
    "sklearn.linear_model",
    "pandas",
    "sparsify",
    "statsmodels.stats.proportion",
    "sae_lens",
    "sae_bench.evals.sparse_probing.main",
    "sae_probes",
    "snakemake.script",
)
"""Modules that are loaded ahead, in this order; a missing one is left to the job that needs it."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Environment variables from which the libraries take their number of threads as they load."""

SOCKET = "socket"


def offer() -> None:
    """Allow the jobs of this main process a fork server, by setting :data:`PLACE` for them."""
    if os.environ.get(PLACE, "").startswith(f"{platform.node()}:{os.getpid()}:"):
        return
    folder = Path(tempfile.gettempdir(), f"latent-ledger-{uuid.uuid4().hex}")
    os.environ[PLACE] = f"{platform.node()}:{os.getpid()}:{folder}"


def run_script() -> int | None:
    """Run the script of this process in a child of the server; its exit code, or None without one.

    The first call starts the fork server and returns None, as do calls until it has loaded.
    """
    host, pid, folder = os.environ.get(PLACE, "::").split(":", 2)
    if host != platform.node() or not _alive(pid):
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(Path(folder, SOCKET)))
        except OSError:
            _start(Path(folder), pid)
            return None
        request = {
            "script": sys.argv[0],
            "cwd": str(Path.cwd()),
            "path": sys.path,
            "environment": {k: v for k, v in os.environ.items() if k != PLACE},
        }
        content = json.dumps(request).encode()
        socket.send_fds(connection, [struct.pack("!I", len(content))], [1, 2])
        connection.sendall(content)
        answer = connection.recv(4)
    # Without an answer the server died, and its child with it: this process does the work itself.
    return struct.unpack("!i", answer)[0] if len(answer) == 4 else None


def _start(folder: Path, main_process: str) -> None:
    """Start the fork server in the background, unless another job has done so."""
    try:
        folder.mkdir(mode=0o700)  # for this user alone; the job that makes it starts the server
    except FileExistsError:
        return
    loading = {"TOKENIZERS_PARALLELISM": "false", "JAXTYPING_DISABLE": "1"}
    subprocess.Popen(
        [sys.executable, "-m", __name__, str(folder), main_process],
        env={**os.environ, **dict.fromkeys(THREADS, "1"), **loading},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C ends the jobs first, then the main process the server
    )


def _alive(pid: str) -> bool:
    """Whether a process exists (and is no zombie, which has no command line)."""
    with contextlib.suppress(OSError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False


# -- the server itself --------------------------------------------------------------------------


class ForkServer:
    """Forks a child per connection and sends the waiting script its exit code."""

    def __init__(self, listener: socket.socket, main_process: str) -> None:
        self.listener, self.main_process = listener, main_process
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)
        self.children: dict[socket.socket, int] = {}
        """Connection of a waiting script -> pid of its child."""

    def serve(self) -> None:
        """Serve until the main process is gone."""
        while _alive(self.main_process):
            for key, _ in self.selector.select(timeout=0.05 if self.children else 1.0):
                if key.fileobj is self.listener:
                    self.fork(self.listener.accept()[0])
                else:  # a waiting script sends nothing: it was killed
                    self.end(cast(socket.socket, key.fileobj))
            self.reap()
        for connection in self.children:
            self.end(connection)

    def fork(self, connection: socket.socket) -> None:
        """Fork a child for one script."""
        head, streams, _, _ = socket.recv_fds(connection, 4, 2)
        length = struct.unpack("!I", head)[0] if len(head) == 4 else 0
        content = connection.recv(length, socket.MSG_WAITALL)
        whole = len(streams) == 2 and 0 < len(content) == length
        pid = os.fork() if whole else -1
        if pid == 0:
            for inherited in (self.listener, connection, *self.children):
                inherited.close()
            _run_as_script(json.loads(content), streams)
        for stream in streams:
            os.close(stream)
        if not whole:  # the script was killed while it handed itself over
            connection.close()
            return
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        self.children[connection] = pid
        self.selector.register(connection, selectors.EVENT_READ)

    def reap(self) -> None:
        """Send the exit codes of the children that ended to their scripts."""
        for connection, pid in list(self.children.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del self.children[connection]
                self.selector.unregister(connection)
                with contextlib.suppress(OSError):
                    connection.sendall(struct.pack("!i", os.waitstatus_to_exitcode(status)))
                connection.close()

    def end(self, connection: socket.socket) -> None:
        """Kill the child, and what it started, of a script that no longer waits."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.children[connection], signal.SIGKILL)


def _run_as_script(request: dict, streams: list[int]) -> None:
    """Become the script's process: never returns."""
    code = 1
    try:
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: die with the parent
        for target, stream in enumerate(streams, start=1):
            os.dup2(stream, target)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv, sys.path[:] = [request["script"]], request["path"]
        runpy.run_path(request["script"], run_name="__main__")
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def main(folder: str, main_process: str) -> None:
    """Load the libraries, then serve."""
    for name in LIBRARIES:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    threads = {path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")}
    # jemalloc's thread restarts itself in the child.
    fork_safe = {"python", Path(sys.executable).name, "jemalloc_bg_thd"}
    try:
        if threads <= fork_safe:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(Path(folder, SOCKET)))
                listener.listen(64)
                ForkServer(listener, main_process).serve()
        while _alive(main_process):  # a fork would lose threads: serve no job
            time.sleep(1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
