"""Fetching of sparsify's coders from a folder or the hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from sparsify import SparseCoder

from latent_ledger.coders.formats.published import facts_of, site_of
from latent_ledger.coders.formats.sparsify.loader import load
from latent_ledger.coders.formats.sparsify.writer import save
from latent_ledger.lib.errors import LedgerError


def produce_pretrained(settings: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write a pretrained sparsify coder, in fp32 and with its site, into `out`.

    `settings`: source (a local folder or a hub id), revision and path (a folder in the source; both
    may be absent), layer, input_hook, output_hook. Returns facts: architecture, d_in, width, k.
    Raises :class:`LedgerError` if it cannot be had. Transcoders of before February 2025 subtracted
    ``b_dec`` from their input; their files do not say so, and the encode-fidelity gate finds them.
    """
    source, path = settings["source"], settings.get("path") or ""
    revision, files = settings.get("revision"), f"{path}/*" if path else None
    folder = Path(source)
    if not folder.is_dir():
        try:
            folder = Path(snapshot_download(source, revision=revision, allow_patterns=files))
        except (ValueError, OSError) as error:  # the hub's errors are OSErrors
            raise LedgerError(
                f"Coder {source!r} is neither a local folder nor reachable on the hub "
                f"({type(error).__name__}): correct `source`, or download it first."
            ) from error
    site = site_of(settings)
    coder = load(folder / path, site)
    save(SparseCoder.load_from_disk(folder / path).float(), site, out)
    return facts_of(coder)
