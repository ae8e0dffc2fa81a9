"""Volumes: a folder each, and a view of it for every Sandbox that mounts it.

As on Modal (version 2), a Sandbox sees the Volume as it was when the Sandbox started, plus its own
writes; the others see these after a commit: `sync <mountpoint>`, or the end of the Sandbox. The
last commit of a file wins. A view is a tree of copies, with large files as hard links: to write
*into* a large existing file would show at once, which a content-addressed store never does.
"""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

LINK_FROM = 1 << 20  # bytes from which a file is linked rather than copied

Signature = tuple


def _signature(path: Path) -> Signature:
    if path.is_symlink():
        return ("link", str(path.readlink()))
    if path.is_dir():
        return ("folder",)
    status = path.stat()
    return ("file", status.st_ino, status.st_size, status.st_mtime_ns)


def _same(one: Signature, other: Signature) -> bool:
    """Whether two signatures speak of equal content; copies differ in their inode only."""
    if one[0] == other[0] == "file":
        return one[2:] == other[2:]
    return one == other


def _scan(root: Path) -> dict[str, Signature]:
    """Everything below `root`, parents before children."""
    found: dict[str, Signature] = {}
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = Path(folder, name)
            try:
                found[str(path.relative_to(root))] = _signature(path)
            except FileNotFoundError:  # removed by a running command while we looked
                continue
    return found


def _transfer(source: Path, target: Path) -> None:
    """Put `source` at `target` in one step: readers see the old file or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{threading.get_ident()}.transfer")
    if source.is_symlink():
        aside.symlink_to(source.readlink())
    elif source.stat().st_size >= LINK_FROM:
        aside.hardlink_to(source)
    else:
        shutil.copy2(source, aside)
    # Renaming a file over a hard link of itself does nothing and leaves both names.
    aside.replace(target)
    aside.unlink(missing_ok=True)


@dataclass
class View:
    """What one Sandbox sees of a Volume, and how it looked at its last exchange with it."""

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
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def mount(self, folder: Path, below: str = "") -> View:
        """A new view of the Volume (of its folder `below`, if given) at `folder`."""
        view = View(folder)
        folder.mkdir(parents=True)
        with self._lock:
            self._fetch(view, self._source(below))
        return view

    def commit(self, view: View, below: str = "") -> None:
        """Publish what changed in `view` since its last exchange, removals included."""
        with self._lock:
            self._publish(view, self._source(below))
            self.commits += 1

    def reload(self, view: View, below: str = "") -> None:
        """Publish the changes of `view`, then show it what others committed."""
        with self._lock:
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
            if signature == ("folder",):
                (source / name).mkdir(parents=True, exist_ok=True)
            elif (view.folder / name).exists() or (view.folder / name).is_symlink():
                _transfer(view.folder / name, source / name)
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
        for name, signature in there.items():
            target = view.folder / name
            if signature == ("folder",):
                target.mkdir(exist_ok=True)
            elif name not in here or not _same(signature, here[name]):
                _transfer(source / name, target)
        for name in sorted(set(here) - set(there), reverse=True):
            target = view.folder / name
            if target.is_dir() and not target.is_symlink():
                target.rmdir()
            else:
                target.unlink(missing_ok=True)
        view.base = _scan(view.folder)
