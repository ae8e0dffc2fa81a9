"""Hugging Face hub without its library: ids, and files of the local cache.

Checks and estimates run before any job. Importing huggingface_hub takes longer than all of them.
"""

import os
import re
from pathlib import Path

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""``owner/name``."""


def cached_file(repository: str, revision: str, name: str) -> Path | None:
    """A file of a hub repository in the local cache, or None.

    The layout of the cache is ``models--owner--name/{refs,snapshots}``.
    """
    home = os.environ.get("HF_HOME") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "huggingface"
    )
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(home, "hub"))
    folder = hub / f"models--{repository.replace('/', '--')}"
    reference = folder / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    file = folder / "snapshots" / commit / name
    return file if file.is_file() else None
