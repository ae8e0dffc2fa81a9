"""References: files outside of the store, pinned to the bit.

A folder is either whole, or holds a single ``reference.json`` that names where its files are (a hub
id with its commit, or a local folder) and the sha256 of each. It keeps gigabytes out of the store.
"""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from latent_ledger.lib.errors import CorruptPayload, LedgerError
from latent_ledger.lib.files import local, read_json, sha256_file, write_json

REFERENCE = "reference.json"


def write(out: Path, source: str, revision: str | None, files: Iterable[Path]) -> dict:
    """Write the ``reference.json`` of files; `revision` is a commit, None for a local folder."""
    digests = {path.name: sha256_file(path) for path in files}
    reference = {"source": source, "revision": revision, "files": digests}
    write_json(Path(out) / REFERENCE, reference)
    return reference


def resolve(folder: Path) -> Path:
    """The folder with the files, a reference followed and its files checked once per process.

    Raises :class:`CorruptPayload` if a file is missing or no longer has its recorded content.
    """
    folder = Path(folder)
    if not (folder / REFERENCE).exists():
        return folder
    reference = read_json(folder / REFERENCE)
    source, revision = reference["source"], reference["revision"]
    files = reference["files"]
    target = local(source) if revision is None else snapshot(source, revision, tuple(files))
    for name, digest in files.items():
        path = target / name
        if not path.exists():
            raise CorruptPayload(f"The model {source} has lost its file {name}: restore it.")
        stat = path.stat()
        if _sha256_once(path, stat.st_mtime_ns, stat.st_size) != digest:
            raise CorruptPayload(
                f"The file {name} of the model {source} changed since its reference was made: "
                "restore it, or make the reference again (its results are then new ones)."
            )
    return target


def snapshot(source: str, revision: str, files: Sequence[str]) -> Path:
    """The local snapshot of a commit with `files`; the hub is asked if the cache lacks one."""
    with refusals_in_one_line(source, revision):
        with contextlib.suppress(LocalEntryNotFoundError):
            cached = Path(snapshot_download(source, revision=revision, local_files_only=True))
            if all((cached / name).exists() for name in files):
                return cached
        return Path(snapshot_download(source, revision=revision, allow_patterns=list(files)))


def download(
    source: str, revision: str | None, small: Sequence[str], weights: Sequence[str]
) -> Path:
    """The local snapshot of a hub model, downloaded where the cache lacks it.

    `small` are patterns of files to take; of the patterns `weights` the first that has files.
    """
    with refusals_in_one_line(source, revision):
        for pattern in weights:
            folder = Path(
                snapshot_download(
                    source,
                    revision=revision,
                    allow_patterns=[*small, pattern],
                    ignore_patterns=["*/*"],  # copies in other formats live in subfolders
                )
            )
            if any(folder.glob(pattern)):
                break
        return folder


@contextlib.contextmanager
def refusals_in_one_line(source: str, revision: str | None) -> Iterator[None]:
    """Turn an error of the hub into a line with the command to type."""
    where = f"{source} (revision {revision or 'main'})"
    try:
        yield
    except GatedRepoError:
        raise LedgerError(
            f"The model {where} is gated: accept its licence at https://huggingface.co/{source}, "
            "then type `hf auth login` (or set HF_TOKEN)."
        ) from None
    except RevisionNotFoundError:
        raise LedgerError(f"The model {source} has no revision {revision!r}.") from None
    except RepositoryNotFoundError:
        raise LedgerError(
            f"The hub has no model {source!r}, or it is private: check model.source, or type "
            "`hf auth login`."
        ) from None
    except HFValidationError:
        raise LedgerError(f"model.source: {source!r} is no hub id: write owner/name.") from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError) as error:
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        raise LedgerError(
            f"The model {where} is not in the local cache and the hub cannot be reached ({cause}): "
            f"unset HF_HUB_OFFLINE, or type `hf download {source}` where there is a network and "
            "bring the folder here."
        ) from None


@functools.cache
def _sha256_once(path: Path, _modified: int, _size: int) -> str:
    return sha256_file(path)  # as long as the file keeps its time and size
