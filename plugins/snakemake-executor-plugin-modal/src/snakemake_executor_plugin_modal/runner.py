"""The program inside a Sandbox: unpack, run the command, pack the results.

    python runner.py <mount> <sources archive> <job folder>

Standard library only: it travels as one file. On the Volume mounted at `mount`, the job folder
holds `in.tar.gz` (inputs and `job.json`); it gets `log.txt`, renewed while the command runs, and
`out.tar.gz`, whose last member, the marker, lists the sha256 of every file. Work is done on the
container's disk: a Volume is no place for a working directory.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path
from typing import IO, Any

SECRET_NAMES = re.compile(r"TOKEN|SECRET|PASSWORD|CREDENTIAL|API_?KEY|PRIVATE", re.IGNORECASE)
SHORTEST_SECRET = 6
LOG_SECONDS = 20.0
TIMED_OUT = 124
NOT_COMMITTED = 74  # EX_IOERR
SYNC_TRIES = 4


class Redactor:
    """Replaces the values of secret environment variables in text."""

    def __init__(self, names: list[str]) -> None:
        values = {
            value.encode()
            for name, value in os.environ.items()
            if (name in names or SECRET_NAMES.search(name)) and len(value) >= SHORTEST_SECRET
        }
        self.values = sorted(values, key=len, reverse=True)

    def __call__(self, text: bytes) -> bytes:
        for value in self.values:
            text = text.replace(value, b"***")
        return text

    def file(self, path: Path) -> None:
        """Redact a text file in place, if it needs it."""
        content = path.read_bytes()
        if (clean := self(content)) != content:
            path.write_bytes(clean)


class Log:
    """The command's output: on disk, on this process's output, and on the Volume."""

    def __init__(self, path: Path, redact: Redactor) -> None:
        self.path, self.redact = path, redact
        self.stream = path.open("wb")

    def follow(self, pipe: IO[bytes]) -> None:
        """Copy line by line until the pipe closes."""
        for line in pipe:
            self.write(self.redact(line))

    def write(self, line: bytes) -> None:
        """Add one line."""
        self.stream.write(line)
        self.stream.flush()
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


def sync(mount: str) -> bool:
    """Commit the Volume while this Sandbox still runs; returns whether that worked."""
    for attempt in range(SYNC_TRIES):
        if subprocess.run(["sync", mount], capture_output=True).returncode == 0:
            return True
        time.sleep(0.2 * 2**attempt)
    return False


def publish_log(log: Log, target: Path, mount: str, ended: threading.Event) -> None:
    """Renew the log on the Volume every :data:`LOG_SECONDS`, so that a lost worker leaves one."""
    size = -1
    while not ended.wait(LOG_SECONDS):
        now = log.path.stat().st_size
        if now != size:
            size = now
            shutil.copyfile(log.path, target)
            sync(mount)


def run(command: str, seconds: float, log: Log, environment: dict[str, str]) -> tuple[int, bool]:
    """Run the command in a new session for at most `seconds`; returns (exit code, timed out)."""
    process = subprocess.Popen(
        ["bash", "-c", command] if shutil.which("bash") else ["sh", "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )

    def stop(*_: object) -> None:
        os.killpg(process.pid, signal.SIGKILL)

    signal.signal(signal.SIGTERM, stop)
    reader = threading.Thread(target=log.follow, args=(process.stdout,), daemon=True)
    reader.start()
    try:
        code, late = process.wait(timeout=seconds), False
    except subprocess.TimeoutExpired:
        stop()
        code, late = process.wait(), True
    reader.join(timeout=10)
    return code, late


def packed_files(spec: dict[str, Any], failed: bool) -> tuple[dict[str, str], list[str], list[str]]:
    """(path -> sha256 of every file that goes back, folders, required outputs that are absent).

    Of a failed job only its logs go back.
    """
    wanted = (
        spec["logs"]
        if failed
        else [*spec["outputs"], *spec["optional"], *spec["logs"], *spec["mirrors"]]
    )
    files: dict[str, str] = {}
    folders = []
    for name in wanted:
        path = Path(name)
        if path.is_dir():
            folders.append(name)
            files.update({str(p): _sha256(p) for p in sorted(path.rglob("*")) if p.is_file()})
        elif path.is_file():
            files[name] = _sha256(path)
    absent = [] if failed else [name for name in spec["outputs"] if not Path(name).exists()]
    return files, folders, absent


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def pack(target: Path, files: dict[str, str], log: Path, marker: dict[str, Any]) -> None:
    """Write the result archive, the marker last, beside `target` and then in its place."""
    aside = target.with_suffix(".part")
    with tarfile.open(aside, "w:gz", compresslevel=1, dereference=True) as tar:
        tar.add(log, "log.txt")
        for path in files:
            tar.add(path, f"files/{path}")
        content = json.dumps(marker, sort_keys=True).encode()
        entry = tarfile.TarInfo("complete.json")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    aside.replace(target)


def main(mount: str, sources: str, folder: str) -> int:
    """Do one job; returns the exit code of the Sandbox."""
    began = time.time()
    work = Path(os.environ.get("HOME", "/root")) / "work"
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)
    for archive in (sources, f"{folder}/in.tar.gz"):
        with tarfile.open(archive) as tar:
            tar.extractall(work, filter="data")
    spec = json.loads(Path("job.json").read_text())
    Path("job.json").unlink()
    for name in [*spec["outputs"], *spec["logs"]]:
        Path(name).parent.mkdir(parents=True, exist_ok=True)

    redact = Redactor(spec["redact"])
    log = Log(work.parent / "log.txt", redact)
    environment = {**os.environ, **spec["environment"]}
    folders = [str(work / name) for name in spec["pythonpath"]]
    if folders:
        inherited = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([*folders, *([inherited] if inherited else [])])
    ended = threading.Event()
    publisher = threading.Thread(
        target=publish_log, args=(log, Path(folder) / "log.txt", mount, ended), daemon=True
    )
    publisher.start()
    code, late = run(spec["command"], spec["seconds"], log, environment)
    ended.set()
    publisher.join()

    for name in spec["logs"]:
        if Path(name).is_file():
            redact.file(Path(name))
    files, folders, absent = packed_files(spec, failed=bool(code))
    marker = {
        "exit": code,
        "late": late,
        "started": began,
        "seconds": time.time() - began,
        "files": files,
        "folders": folders,
        "absent": absent,
    }
    pack(Path(folder) / "out.tar.gz", files, log.path, marker)
    if not sync(mount):
        print(f"{mount} could not be committed", file=sys.stderr)
        return NOT_COMMITTED
    if late:
        return TIMED_OUT
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
