"""Recognition of published coders: a folder by its files, a hub repository by its name."""

import re
from importlib import import_module
from pathlib import Path

from latent_ledger.coders.formats.entry import Format
from latent_ledger.coders.formats.registry import NAMES
from latent_ledger.lib.errors import LedgerError


def entry(name: str) -> Format:
    """The entry of a format in :data:`~latent_ledger.coders.formats.registry.NAMES`."""
    return import_module(f"latent_ledger.coders.formats.{name}.entry").FORMAT


def recognise(source: str, path: str | None) -> str:
    """Name of the format of a local folder (in it, the folder `path`) or of a hub repository.

    Raises :class:`LedgerError` where none or several of the known formats fit.
    """
    if not Path(source).is_dir():
        return format_of_repository(source)
    folder = Path(source) / (path or "")
    files = {name: entry(name).file for name in NAMES}
    fitting = [name for name, file in files.items() if (folder / file).is_file()]
    if len(fitting) != 1:
        raise LedgerError(
            f"{folder} holds {'several' if fitting else 'no'} coders: `path` must name a folder "
            f"with one {' or '.join(files.values())}."
        )
    return fitting[0]


def format_of_repository(repository: str) -> str:
    """Name of the format of a hub repository. Raises :class:`LedgerError` as :func:`recognise`."""
    patterns = {name: entry(name).hub for name in NAMES}
    fitting = [name for name, hub in patterns.items() if hub and re.fullmatch(hub, repository)]
    if len(fitting) != 1:
        raise LedgerError(
            f"the format of the hub repository {repository} cannot be told from its name: set "
            f"`format` to one of {', '.join(NAMES)}."
        )
    return fitting[0]
