"""Opening of a scorer's client by its backend: all that a job needs of a backend.

A job imports ``scorers/<backend>/client.py`` and no entry, so a new label, cost or check makes no
answer stale. The open step in the import's name lets the code digest follow every client.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from latent_ledger.lib.errors import LedgerError
from latent_ledger.scorers.client import Client


def open_client(
    settings: Mapping[str, Any], cache: Path | None = None, log: Path | None = None
) -> Client:
    """The client of ``settings["backend"]``; `cache` is a folder of answers that outlives the job.

    `log` gets the output of a server that the client starts. Raises :class:`LedgerError` for an
    unknown backend or a missing key variable.
    """
    backend = settings["backend"]
    known = sorted(path.parent.name for path in Path(__file__).parent.glob("*/client.py"))
    if backend not in known:
        raise LedgerError(
            f"The scorer backend {backend!r} is not known; known: {', '.join(known)}."
        )
    client = import_module(f"latent_ledger.scorers.{backend}.client")
    return client.open_client(settings, cache, log)
