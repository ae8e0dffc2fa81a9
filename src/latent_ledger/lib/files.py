"""Files that are never half-written, and JSON that is equal for equal content.

Every write goes to a temporary name in the same folder and is renamed over the target, so a killed
process or a full disk leaves the old file or the new one, never a mixture.
"""

import errno
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.numbers import canonical


@contextmanager
def full_disk_in_one_line(path: Path) -> Iterator[None]:
    """Turn "no space left on device" into a line that names the disk to clear."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        fault = error.__context__ if isinstance(error, RuntimeError) else error  # torch's writer
        if getattr(fault, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise LedgerError(
            f"The disk that holds {path} is full: free some space (`latent-ledger gc` evicts "
            "payloads no current result needs) and run the same command again."
        ) from error


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A temporary name for a file that becomes `path` when it is whole; parents are made."""
    path = Path(path)
    with full_disk_in_one_line(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        aside = Path(name)
        try:
            yield aside
            with aside.open("rb+") as stream:
                os.fsync(stream.fileno())
            aside.chmod(0o644)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` aside, then rename."""
    with written_aside(path) as aside:
        aside.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text to `path` aside, then rename."""
    write_bytes(path, content.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as canonical JSON (see :func:`dumps`)."""
    write_text(path, dumps(value))


def read_json(path: Path) -> Any:
    """Read a JSON file; a missing or broken one is named in one line."""
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise LedgerError(f"{path} does not exist: run the job that makes it.") from None
    except OSError as error:
        raise LedgerError(f"{path} cannot be read ({error.strerror}): is it a file?") from None
    except ValueError as error:
        raise LedgerError(f"{path} is not valid JSON ({error}): delete it and run again.") from None


def dumps(value: Any) -> str:
    """Serialise to canonical JSON with sorted keys: equal content gives equal bytes.

    Floats are rounded by :func:`latent_ledger.lib.numbers.canonical`.
    """
    return json.dumps(canonical(value), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def digest_json(value: Any) -> str:
    """sha256 of the canonical JSON of `value`, as 64 hexadecimal digits."""
    return hashlib.sha256(dumps(value).encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """sha256 of a file's content, as 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def seal(path: Path) -> Path:
    """Add the sha256 of a finished file to its name, for :func:`sealed`; the new path."""
    return path.replace(path.with_name(f"{path.stem}.{sha256_file(path)}{path.suffix}"))


def sealed(path: Path) -> Path | None:
    """The newest file that was sealed as `path` and is unchanged; a changed one is set aside."""
    files = path.parent.glob(f"{path.stem}.*{path.suffix}")
    for file in sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True):
        if file.stem == f"{path.stem}.{sha256_file(file)}":
            return file
        file.replace(file.with_suffix(".corrupt"))
        print(f"{file} has changed since it was written: set aside, made anew.", file=sys.stderr)
    return None


def local(source: str) -> Path:
    """The path that a source names, ``~`` expanded."""
    return Path(source).expanduser()


def listing(source: str) -> dict[str, str]:
    """Digest of names, sizes and times of a local folder's files, so that an edit is seen.

    A touched file costs one job at most: equal content has an equal digest, which cuts off below.
    """
    root = local(source)
    files = [root] if root.is_file() else [path for path in root.rglob("*") if path.is_file()]
    stats = {str(path.relative_to(root)): path.stat() for path in sorted(files)}
    return {"files": digest_json([[name, s.st_size, s.st_mtime_ns] for name, s in stats.items()])}
