"""Content-addressed payloads behind small manifests.

A *payload* is a folder of files, named by the digest of its content and never changed again. A
*manifest* is a small JSON file in ``results/`` that Snakemake sees instead: rule, files with sha256
and size, their tree digest, a few facts, and the action key that made it. It holds no time, host
or path, so equal content gives equal bytes. An *action* maps a key (see
:mod:`latent_ledger.artifacts.provenance`) to the manifest it gave and to the record of that run.

    payloads/ab/<tree digest>/...     the files, read-only
    actions/ab/<action key>.json      key -> manifest, run record, and what the key was made of
    code/<code digest>.json           digest per function, to say later which ones changed
    checkpoints/<action key>/         state of a killed job, for its next attempt
    history/<experiment>/<run id>/    superseded ledger rows
    staging/, quarantine/             being written; found corrupt
    locks                             one byte per key that a process computes

Everything is written aside and renamed, so several workflows may share one store. Nothing here
imports more than the standard library, so a job that hits the store never loads torch.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from latent_ledger.lib.errors import CorruptPayload, LedgerError
from latent_ledger.lib.files import (
    digest_json,
    full_disk_in_one_line,
    read_json,
    sha256_file,
    write_json,
)

FACTS = "facts.json"
"""Written into every payload, so that facts are part of the content."""


@dataclass(frozen=True)
class Manifest:
    """The file in ``results/`` that stands for a payload in the store."""

    rule: str
    digest: str
    files: list[dict[str, Any]]
    facts: dict[str, Any]
    key: str
    made_by: dict[str, Any] = field(default_factory=dict)
    """Ingredients of the action key, by which a reader can check whether it is current."""

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """The manifest at `path`; a :class:`LedgerError` in one line if it is none."""
        return cls.of(read_json(path), path)

    @classmethod
    def of(cls, record: Any, path: Path) -> Manifest:
        """The manifest that the JSON value at `path` describes; a :class:`LedgerError` if none."""
        try:
            manifest = cls(**record)
        except TypeError as error:
            raise LedgerError(f"{path} is no manifest ({error}): delete it, run again.") from None
        texts = (manifest.rule, manifest.digest, manifest.key)
        ingredients = manifest.made_by if isinstance(manifest.made_by, dict) else {}
        if (
            not all(isinstance(text, str) for text in texts)
            or not ingredients.keys() >= INGREDIENTS
        ):
            raise LedgerError(f"{path} is no complete manifest: delete it, run again.")
        return manifest

    @classmethod
    def read_if_readable(cls, path: Path) -> Manifest | None:
        """The manifest at `path`; None if it is absent or unreadable."""
        try:
            return cls.read(path)
        except LedgerError:
            return None

    def write(self, path: Path) -> None:
        """Write the manifest; equal content gives equal bytes."""
        write_json(path, asdict(self))


INGREDIENTS = {"rule", "settings", "code", "env", "inputs"}
"""What an action key, and so every ``made_by``, consists of."""


class Payload:
    """Verified access to the files behind the manifest at a path."""

    def __init__(self, store: Store, manifest_path: Path) -> None:
        self.store, self.manifest_path = store, manifest_path
        self.manifest = Manifest.read(manifest_path)
        self._verified = False

    @property
    def facts(self) -> dict[str, Any]:
        """The facts its producer reported."""
        return self.manifest.facts

    def folder(self) -> Path:
        """The payload's folder, after every file's sha256 was checked (once per process).

        Raises :class:`CorruptPayload` when a file is missing or altered. The payload is then set
        aside and its action and manifest are forgotten, so that the next run makes it again.
        """
        if not self._verified and (wrong := self.store.first_wrong_file(self.manifest)):
            self.store.set_aside(self.manifest)
            self.manifest_path.unlink(missing_ok=True)
            error = CorruptPayload(
                f"corrupt payload: {wrong} of {self.manifest_path} is not what its manifest "
                "promises; it was set aside and will be recomputed when you run the same command "
                "again."
            )
            error.manifest = self.manifest_path
            raise error
        self._verified = True
        return self.store.payload_folder(self.manifest.digest)


class Store:
    """A folder of payloads, actions and checkpoints (layout in the module's docstring)."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()

    # -- places ---------------------------------------------------------------------------------

    def payload_folder(self, digest: str) -> Path:
        """Folder of the payload with this tree digest."""
        return self.root / "payloads" / digest[:2] / digest

    def action_path(self, key: str) -> Path:
        """File of the action of this key."""
        return self.root / "actions" / key[:2] / f"{key}.json"

    def checkpoint_folder(self, key: str) -> Path:
        """Folder in which the job of this key may keep its state for a next attempt."""
        return self.root / "checkpoints" / key

    # -- reading --------------------------------------------------------------------------------

    def lookup(self, key: str) -> dict[str, Any] | None:
        """The action of `key` if its payload is complete (by name and size), else None."""
        try:
            action, manifest = self._action(self.action_path(key))
        except LedgerError:
            return None  # absent, or of no use: the job computes and writes it again
        folder = self.payload_folder(manifest.digest)
        sizes = {folder / entry["path"]: entry["size"] for entry in manifest.files}
        complete = all(file.is_file() and file.stat().st_size == sizes[file] for file in sizes)
        return action if complete else None

    def _action(self, path: Path) -> tuple[dict[str, Any], Manifest]:
        """The action at `path` and its manifest; a :class:`LedgerError` if it is none."""
        action = read_json(path)
        if not isinstance(action, dict) or not isinstance(action.get("run"), dict):
            raise LedgerError(f"{path} is no action: delete it, run again.")
        return action, Manifest.of(action.get("manifest"), path)

    def open(self, manifest_path: Path) -> Payload:
        """The payload behind a manifest in ``results/``."""
        return Payload(self, Path(manifest_path))

    def first_wrong_file(self, manifest: Manifest) -> str | None:
        """Name of the first file that is absent or whose sha256 differs; None if all is well."""
        folder = self.payload_folder(manifest.digest)
        for entry in manifest.files:
            file = folder / entry["path"]
            if not file.is_file() or sha256_file(file) != entry["sha256"]:
                return entry["path"]
        return None

    # -- writing --------------------------------------------------------------------------------

    @contextmanager
    def computing(self, rule: str, keys: Iterable[str]) -> Iterator[None]:
        """Compute `keys` alone: another process that needs one waits until this one ends.

        The lock of a key is a byte of a single file, which the system frees however a process ends.
        """
        with full_disk_in_one_line(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            file = (self.root / "locks").open("ab")
        with file:
            for byte in sorted({int(key[:15], 16) for key in keys}):  # sorted: no two wait in turn
                try:
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
                except BlockingIOError:
                    print(f"{rule}: waiting for a process that computes it.", file=sys.stderr)
                    fcntl.lockf(file, fcntl.LOCK_EX, 1, byte)
                except OSError as error:
                    fault = f"{self.root} has no file locks ({error.strerror})"
                    print(f"{fault}: run one workflow at a time on it.", file=sys.stderr)
            yield

    def stage(self) -> Path:
        """A new empty folder to write a payload into."""
        folder = self.root / "staging" / uuid.uuid4().hex
        with full_disk_in_one_line(folder):
            folder.mkdir(parents=True)
        return folder

    def commit(
        self, staged: Path, *, facts: dict[str, Any], key: str, made_by: dict[str, Any]
    ) -> Manifest:
        """The manifest of a staged folder, which becomes a payload unless the store has it."""
        write_json(staged / FACTS, facts)
        files = []
        for path in sorted(path for path in staged.rglob("*") if path.is_file()):
            name, size = path.relative_to(staged).as_posix(), path.stat().st_size
            files.append({"path": name, "sha256": sha256_file(path), "size": size})
            path.chmod(0o444)
        rule = made_by["rule"]
        digest = digest_json({"rule": rule, "files": files})
        manifest = Manifest(rule, digest, files, read_json(staged / FACTS), key, made_by)
        folder = self.payload_folder(digest)
        if folder.exists() and self.first_wrong_file(manifest) is not None:
            self.set_aside(manifest)
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            staged.rename(folder)
        except OSError:
            if not folder.exists():
                raise
            shutil.rmtree(staged)  # another job wrote the same content first
        return manifest

    def record(self, key: str, manifest: Manifest, run: dict[str, Any]) -> str | None:
        """Record that `key` gave `manifest`; the earlier digest if it differs (nondeterminism)."""
        path = self.action_path(key)
        try:
            earlier = self._action(path)[1].digest
        except LedgerError:
            earlier = manifest.digest
        write_json(path, {"manifest": asdict(manifest), "run": run})
        return None if earlier == manifest.digest else earlier

    def record_code(self, digest: str, functions: dict[str, str]) -> None:
        """Keep the digest of every function behind a code digest (written once)."""
        if not self._code_path(digest).exists():
            write_json(self._code_path(digest), functions)

    def functions_of(self, digest: str) -> dict[str, str]:
        """Digest per function behind a code digest, empty if it was never recorded."""
        path = self._code_path(digest)
        return read_json(path) if path.exists() else {}

    def _code_path(self, digest: str) -> Path:
        return self.root / "code" / f"{digest}.json"

    def set_aside(self, manifest: Manifest) -> None:
        """Move a payload to quarantine and forget the action that made it."""
        folder = self.payload_folder(manifest.digest)
        if folder.exists():
            target = self.root / "quarantine" / f"{manifest.digest}-{uuid.uuid4().hex[:8]}"
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)
        if manifest.key:
            self.action_path(manifest.key).unlink(missing_ok=True)

    # -- maintenance ----------------------------------------------------------------------------

    def payload_digests(self) -> Iterator[str]:
        """Digest of every payload held."""
        yield from (folder.name for folder in sorted((self.root / "payloads").glob("*/*")))

    def verify(self) -> list[str]:
        """Check every payload against the actions; returns one line per wrong file."""
        complaints = []
        for path in sorted((self.root / "actions").glob("*/*.json")):
            try:
                _, manifest = self._action(path)
                if wrong := self.first_wrong_file(manifest):
                    complaints.append(f"{manifest.rule} {manifest.digest[:12]}: {wrong}")
            except LedgerError as error:
                complaints.append(str(error))
        return complaints

    def collect_garbage(self, keep: set[str]) -> tuple[int, int]:
        """Delete payloads whose digest is not in `keep`, and all leftovers; actions stay.

        Returns (payloads deleted, bytes freed).
        """
        freed = 0
        doomed = [self.payload_folder(d) for d in self.payload_digests() if d not in keep]
        leftovers = [*self.root.glob("staging/*"), *self.root.glob("quarantine/*")]
        for folder in [*doomed, *leftovers]:
            freed += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            shutil.rmtree(folder)
        return len(doomed), freed


def default_root(configured: str | None) -> Path:
    """The store's folder: the environment variable LATENT_LEDGER_STORE, or the configuration's."""
    return Path(os.environ.get("LATENT_LEDGER_STORE") or configured or ".store")
