"""Archives on their way to a Sandbox and back, always whole and always verified."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

MARKER = "complete.json"
"""Last member of a result archive; without it the archive is not whole."""

LOG = "log.txt"
"""The command's output, in a result archive."""

SPEC = "job.json"
"""The job's description for the runner, in an input archive."""

FILES = "files/"
"""Prefix of the job's files in a result archive."""


class Broken(Exception):
    """A result archive that is not whole or not as promised; the message is one line."""


@dataclass(frozen=True)
class Archive:
    """A packed archive on this machine."""

    path: Path
    digest: str
    """sha256 over names and contents: equal content gives an equal digest."""


def pack(members: Mapping[str, Path | bytes], folder: Path, unhashed: str = "") -> Archive:
    """Pack files and contents into a new archive in `folder`; equal content gives equal bytes.

    The member `unhashed` is left out of the digest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{uuid.uuid4().hex}.tar.gz"
    digest = hashlib.sha256()
    with (
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=1, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|") as tar,
    ):
        for name in sorted(members):
            content = members[name]
            entry = tarfile.TarInfo(name)
            entry.mode, entry.mtime = 0o644, 1
            if isinstance(content, bytes):
                entry.size = len(content)
                if name != unhashed:
                    digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
                tar.addfile(entry, io.BytesIO(content))
                continue
            entry.size = content.stat().st_size
            entry.mode = 0o755 if os.access(content, os.X_OK) else 0o644
            with content.open("rb") as stream:
                digest.update(f"{name} {_sha256(stream)}\n".encode())
                stream.seek(0)
                tar.addfile(entry, stream)
    return Archive(temporary, digest.hexdigest())


def _sha256(stream: Any) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()


def _content(tar: tarfile.TarFile, member: str | tarfile.TarInfo) -> IO[bytes]:
    """The content of a regular member; KeyError for any other."""
    stream = tar.extractfile(member)
    if stream is None:
        raise KeyError(f"{member} is no file")
    return stream


def read_marker(archive: Path) -> dict[str, Any]:
    """The marker of a result archive; :class:`Broken` if the archive is not whole."""
    try:
        with tarfile.open(archive) as tar:
            return json.load(_content(tar, MARKER))
    except (KeyError, tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise Broken(f"the result archive is not whole ({type(error).__name__})") from None


def read_log(archive: Path) -> str:
    """The log in a result archive."""
    with tarfile.open(archive) as tar:
        return _content(tar, LOG).read().decode(errors="replace")


def unpack(
    archive: Path,
    marker: Mapping[str, Any],
    *,
    outputs: Iterable[str],
    logs: Iterable[str],
    mirrors: Iterable[str] = (),
    root: Path = Path(),
) -> None:
    """Verify every file of a result archive against its marker, then put all of them in place.

    `outputs` replace what is here; `logs` come if they are there; a `mirror` that is absent there
    is removed here. Nothing is touched when a file is wrong (:class:`Broken`). Logs alone are
    taken from the archive of a failed job: pass no outputs.
    """
    outputs, logs, mirrors = list(outputs), list(logs), list(mirrors)
    staging = root / ".snakemake" / "modal" / f"in-{uuid.uuid4().hex}"
    staging.mkdir(parents=True)
    try:
        extracted = _extract(archive, marker["files"], [*outputs, *logs, *mirrors], staging)
        folders = set(marker.get("folders", ()))
        for path in outputs:
            here = staging / path
            if path in folders:
                here.mkdir(parents=True, exist_ok=True)
            if not here.exists():
                raise Broken(f"the output {path} did not come back")
        for path in [*outputs, *mirrors]:
            _replace(staging / path, root / path)
        for path in extracted:
            if any(_is_below(path, log) for log in logs):
                _replace(staging / path, root / path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _extract(
    archive: Path, promised: Mapping[str, str], wanted: list[str], staging: Path
) -> list[str]:
    """Write the wanted, verified files below `staging`; returns their paths."""
    extracted = []
    with tarfile.open(archive) as tar:
        for member in tar:
            path = member.name.removeprefix(FILES)
            if not member.name.startswith(FILES) or not member.isfile():
                continue
            if ".." in PurePosixPath(path).parts or PurePosixPath(path).is_absolute():
                raise Broken(f"the result archive holds the path {path}")
            if not any(_is_below(path, place) for place in wanted):
                continue
            target = staging / path
            target.parent.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256()
            with target.open("wb") as stream:
                source = _content(tar, member)
                while chunk := source.read(1 << 20):
                    digest.update(chunk)
                    stream.write(chunk)
            if digest.hexdigest() != promised.get(path):
                raise Broken(f"{path} came back with another content than its Sandbox wrote")
            target.chmod(member.mode | 0o600)
            extracted.append(path)
    lost = [
        path
        for path in promised
        if path not in extracted and any(_is_below(path, place) for place in wanted)
    ]
    if lost:
        raise Broken(f"{lost[0]} did not come back")
    return extracted


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place.rstrip('/')}/")


def _replace(source: Path, target: Path) -> None:
    """Put `source` in the place of `target`; without a `source` remove `target`."""
    if not source.exists():
        if target.is_dir():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    if source.is_dir():
        shutil.move(source, target)
    else:
        os.replace(source, target)  # noqa: PTH105  the same file system, so at once
        os.utime(target)
