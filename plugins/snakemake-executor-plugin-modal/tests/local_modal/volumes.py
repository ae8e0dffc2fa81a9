"""Volumes: a folder each, and a view of it for every Sandbox that mounts it.

As on Modal (version 2), a Sandbox sees the Volume as it was when the Sandbox started, plus what it
wrote itself. The others see its writes after a commit: `sync <mountpoint>`, or the end of the
Sandbox. The last commit of a file wins. A view is a tree of copies, with larger files as hard
links: to write *into* a large file that others committed would show at once, unlike on Modal.
Writing it anew and renaming, as stores do, is safe.
"""

from __future__ import annotations

import os
import shutil
import stat
import threading
from dataclasses import dataclass, field
from pathlib import Path

LINK_FROM = 1 << 12  # bytes from which a view links a file rather than copying it
FOLDER = ("folder",)
ASIDE = ".aside"  # how names of files end that are not yet in place

Signature = tuple


def _signature(path: str, status: os.stat_result) -> Signature:
    if stat.S_ISLNK(status.st_mode):
        return ("link", str(Path(path).readlink()))
    if stat.S_ISDIR(status.st_mode):
        return FOLDER
    return ("file", status.st_ino, status.st_size, status.st_mtime_ns)


def _same(first: Signature, second: Signature) -> bool:
    """Whether two signatures stand for equal content; copies differ in their inode only."""
    if first[0] == second[0] == "file":
        return first[2:] == second[2:]
    return first == second


def _scan(root: Path, below: str = "") -> dict[str, Signature]:
    """Everything under `root` by relative path, parents before children."""
    signatures: dict[str, Signature] = {}
    with os.scandir(root / below) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            name = f"{below}{entry.name}"
            try:
                signatures[name] = _signature(entry.path, entry.stat(follow_symlinks=False))
                if signatures[name] == FOLDER:
                    signatures |= _scan(root, f"{name}/")
            except FileNotFoundError:  # removed by a running command meanwhile
                signatures.pop(name, None)
    return signatures


def replace(source: Path, target: Path) -> None:
    """Put a copy of `source` at `target` in one step: readers see the old file or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}{ASIDE}")
    shutil.copy2(source, aside, follow_symlinks=False)
    aside.replace(target)


def _show(source: Path, target: Path) -> None:
    """Put `source` at the new path `target`: a copy, or for a large file a link."""
    if source.is_symlink() or source.stat().st_size < LINK_FROM:
        shutil.copy2(source, target, follow_symlinks=False)
    else:
        target.hardlink_to(source)


@dataclass
class View:
    """A Volume as a Sandbox sees it, and its signatures at the last exchange with the Volume."""

    folder: Path
    base: dict[str, Signature] = field(default_factory=dict)


@dataclass
class Volume:
    """A named Volume; `folder` holds what is committed. `commits` counts the commits."""

    id: str
    name: str
    folder: Path
    version: int
    commits: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def mount(self, folder: Path, below: str = "") -> View:
        """A new view of the Volume (of its folder `below`, if given) at `folder`."""
        view = View(folder)
        folder.mkdir(parents=True)
        with self.lock:
            self._fetch(view, self._source(below))
        return view

    def commit(self, view: View, below: str = "") -> None:
        """Publish what changed in `view` since its last exchange, removals included."""
        with self.lock:
            self._publish(view, self._source(below))
            self.commits += 1

    def reload(self, view: View, below: str = "") -> None:
        """Publish the changes of `view`, then show it what others committed."""
        with self.lock:
            source = self._source(below)
            self._publish(view, source)
            self._fetch(view, source)

    def _source(self, below: str) -> Path:
        source = self.folder / below.strip("/")
        source.mkdir(parents=True, exist_ok=True)
        return source

    def _publish(self, view: View, source: Path) -> None:
        now = _scan(view.folder)
        for name, signature in now.items():
            if view.base.get(name) == signature:
                continue
            if signature == FOLDER:
                (source / name).mkdir(parents=True, exist_ok=True)
            elif (view.folder / name).exists() or (view.folder / name).is_symlink():
                replace(view.folder / name, source / name)
        for name in sorted(set(view.base) - set(now), reverse=True):
            gone = source / name
            if gone.is_dir() and not gone.is_symlink():
                if not any(gone.iterdir()):
                    gone.rmdir()
            else:
                gone.unlink(missing_ok=True)
        view.base = now

    def _fetch(self, view: View, source: Path) -> None:
        there, here = _scan(source), view.base
        now: dict[str, Signature] = {}
        for name, signature in there.items():
            target = view.folder / name
            if signature == FOLDER:
                target.mkdir(exist_ok=True)
            elif name not in here:
                _show(source / name, target)
            elif not _same(signature, here[name]):
                target.unlink(missing_ok=True)
                _show(source / name, target)
            now[name] = _signature(str(target), target.lstat())
        for name in sorted(set(here) - set(there), reverse=True):
            target = view.folder / name
            if here[name] == FOLDER:
                target.rmdir()
            else:
                target.unlink(missing_ok=True)
        view.base = now
