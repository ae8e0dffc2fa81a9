"""The layout of the hub's local cache, as huggingface_hub writes it.

    hub/models--<owner>--<name>/refs/main                      the commit of the branch
    hub/models--<owner>--<name>/blobs/<sha256>                 content
    hub/models--<owner>--<name>/snapshots/<commit>/<file>  ->  ../../blobs/<sha256>

Data sets lie in ``datasets--<owner>--<name>``, in the same way. Commits of the tiny repositories
are digests of their content, unless the experiment pins one: then the tiny repository answers to
that commit, as if it were the published one.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from latent_ledger.lib.files import sha256_file

KINDS = {"model": "models", "dataset": "datasets"}


def repository(hub: Path, kind: str, name: str) -> Path:
    """The folder of a repository, such as ``models--google--gemma-2-2b``."""
    return Path(hub) / f"{KINDS[kind]}--{name.replace('/', '--')}"


def add(hub: Path, kind: str, name: str, files: Path, commit: str | None = None) -> Path:
    """Lay the files below `files` into the cache; returns the snapshot they now lie in."""
    paths = sorted(path for path in Path(files).rglob("*") if path.is_file())
    digests = {path.relative_to(files).as_posix(): sha256_file(path) for path in paths}
    commit = commit or _commit(digests)
    root = repository(hub, kind, name)
    snapshot, blobs = root / "snapshots" / commit, root / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    for relative, digest in digests.items():
        blob, link = blobs / digest, snapshot / relative
        shutil.copyfile(Path(files) / relative, blob)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(_up(link, blob))
    (root / "refs").mkdir(exist_ok=True)
    (root / "refs" / "main").write_text(commit)
    return snapshot


def _up(link: Path, target: Path) -> Path:
    """`target` as seen from the folder of `link`: both lie below one repository."""
    root = target.parents[1]
    steps = len(link.parent.relative_to(root).parts)
    return Path(*[".."] * steps) / target.relative_to(root)


def _commit(digests: Mapping[str, str]) -> str:
    content = "\n".join(f"{name} {digest}" for name, digest in sorted(digests.items()))
    return hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
