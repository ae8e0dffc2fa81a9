"""Fetching of Gemma Scope's coders, as published."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latent_ledger.coders.formats.gemma_scope.entry import FORMAT
from latent_ledger.coders.formats.gemma_scope.loader import load
from latent_ledger.coders.formats.published import keep_file
from latent_ledger.lib.errors import LedgerError


def produce_pretrained(settings: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write a Gemma Scope coder, as published and with its site, into `out`.

    `settings` and errors are those of :func:`~latent_ledger.coders.formats.published.keep_file`; a
    source is ``google/gemma-scope-2b-pt-res``, a path ``layer_12/width_16k/average_l0_82``. Returns
    facts: architecture, d_in, width. Refuses embedding coders, which read scaled inputs.
    """
    path = (settings.get("path") or "").strip("/")
    if "embedding" in path:
        raise LedgerError(
            f"{path}: Gemma Scope's embedding coders read scaled embeddings, which is no hook "
            "point here; choose a layer_<number> folder."
        )
    return keep_file(FORMAT, load, settings, out)
