"""Workflow with its store on a Modal Volume instead of this machine.

The caller then has manifests and records, and no payload. A job whose keys the store has is
completed here, from one small file per part. The ledger of a failed run reads payloads, so it is
rendered there: :mod:`latent_ledger.ledger.failed_run`. Nothing here loads torch.
"""

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from latent_ledger.artifacts.job import Job
from latent_ledger.artifacts.store import FACTS, Manifest, Store
from latent_ledger.lib.files import read_json

STORE = "store"
"""Folder of the main Volume that is the store: LATENT_LEDGER_STORE=/volume/store in the profile."""

Read = Callable[[str], bytes | None]
"""Content of a file of the Volume, or None."""


def _action(read: Read, key: str) -> dict[str, Any] | None:
    """The action of `key`, from one small file; its payload is not checked.

    A payload that is gone makes the job that opens it fail, with the manifest's name in its record;
    :func:`forget_corrupt` then makes the next run compute it again.
    """
    content = read(Store(STORE).action_path(key).relative_to(Path.cwd()).as_posix())
    return None if content is None else json.loads(content)


def complete(job: Any, read: Read) -> bool:
    """Hook of the Modal executor: complete Snakemake's `job` from the store; False to run it.

    A job that a person forced (-R, -F) is not completed.
    """
    if not hasattr(job.params, "settings") or not hasattr(job.log, "record"):
        return False  # no job of the store's: the ledger
    script = Path(job.rule.script)
    names = ("params", "input", "output", "log", "resources", "threads")
    given = {name: getattr(job, name) for name in names}
    snakemake = SimpleNamespace(**given, scriptdir=str(script.parent))

    task = Job.from_snakemake(snakemake, rule=script.stem)  # an action is named after its script
    return task.restore_all(partial(_action, read))


def forget_corrupt(records: Iterable[str], root: Path = Path()) -> list[str]:
    """Remove manifests whose payload a container found corrupt, by run records; their paths."""
    gone = []
    for file in (root / path for path in records):
        record = read_json(file) if file.exists() and file.stat().st_size else {}
        manifest = record.get("corrupt")
        if manifest and (root / manifest).exists():
            (root / manifest).unlink()
            gone.append(manifest)
    return gone


def elsewhere(jobs: Iterable[str], digests: set[str], root: Path = Path()) -> list[str]:
    """Manifests whose payload is not among `digests`: they were made with another store."""
    return [
        path
        for path in jobs
        if (root / path).exists() and Manifest.read(root / path).digest not in digests
    ]


def digests_on_volume(name: str) -> set[str]:
    """Digests of all payloads on the Volume `name`."""
    import modal

    try:
        listed = modal.Volume.from_name(name).listdir(f"{STORE}/payloads", recursive=True)
    except (FileNotFoundError, modal.exception.NotFoundError):
        return set()
    paths = (Path(entry.path) for entry in listed)
    return {path.parent.name for path in paths if path.name == FACTS}
