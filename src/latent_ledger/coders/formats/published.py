"""Published coders that are one file: found in a folder or on the hub, and kept as published."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from latent_ledger.coders.formats.entry import Format
from latent_ledger.coders.formats.site_file import write_site
from latent_ledger.coders.sparse_coder import SparseCoder
from latent_ledger.lib.errors import LedgerError
from latent_ledger.models.hook_points import CoderSite

Load = Callable[[Path, CoderSite, str], SparseCoder]
"""A format's ``load(folder, site, device)``."""


def keep_file(entry: Format, load: Load, settings: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Copy the one file of a published coder, and write its site, into `out`; return its facts.

    `settings`: source, path and revision (both may be None or absent), layer, input_hook,
    output_hook. Raises :class:`LedgerError` if the file cannot be had or `load` refuses it.
    """
    file, site = find_file(entry.file, settings), site_of(settings)
    coder = load(file.parent, site, "cpu")
    shutil.copyfile(file, Path(out) / entry.file)
    write_site(out, entry.name, site)
    return facts_of(coder)


def find_file(file: str, settings: Mapping[str, Any]) -> Path:
    """`file` in the folder ``path`` of a local folder, of the hub's cache, or of the hub."""
    source, path = settings["source"], (settings.get("path") or "").strip("/")
    if Path(source).is_dir():
        return Path(source) / path / file
    from huggingface_hub import hf_hub_download

    revision = settings.get("revision")
    try:
        return Path(hf_hub_download(source, file, subfolder=path or None, revision=revision))
    except (ValueError, OSError) as error:  # the hub's errors are OSErrors
        where = f"{path}/{file}" if path else file
        raise LedgerError(
            f"Coder {source!r} is neither a local folder nor is {where} of it reachable on the hub "
            f"({type(error).__name__}): correct `source` and `path`, or download it first."
        ) from error


def site_of(settings: Mapping[str, Any]) -> CoderSite:
    """The site in the settings of a published coder."""
    return CoderSite.at(settings["layer"], settings["input_hook"], settings.get("output_hook"))


def facts_of(coder: SparseCoder) -> dict[str, Any]:
    """architecture, d_in, width and, where the coder has one, k."""
    facts = {"architecture": coder.architecture, "d_in": coder.d_in, "width": coder.width}
    return facts if coder.k is None else facts | {"k": coder.k}
