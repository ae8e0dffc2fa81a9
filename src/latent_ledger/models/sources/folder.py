"""Models of a local folder, ``./name``, as ``save_pretrained`` writes them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from latent_ledger.lib.files import listing, local
from latent_ledger.models.sources.source import Block, ModelSource, read_numbers, source_label


def numbers(block: Block) -> dict[str, Any] | None:
    """The folder's ``config.json``."""
    return read_numbers(local(block["source"]) / "config.json")


def settings(block: Block) -> dict[str, Any]:
    """The folder and a digest of its files' names, sizes and times; a revision changes nothing."""
    source = block["source"]
    return {"source": source, "revision": block.get("revision"), **listing(source)}


def produce(
    settings: Mapping[str, Any],
    inputs: Mapping[str, Path],
    out: Path,
    checkpoint: Callable[[], Path],
) -> dict:
    """Pin the sha256 of the folder's files."""
    from latent_ledger.models import published

    return published.reference_folder(settings, out)


SOURCE = ModelSource(
    name="folder",
    form="a folder as ./name",
    accepts=lambda source: source.startswith((".", "/", "~")),
    numbers=numbers,
    settings=settings,
    produce=produce,
    label=source_label,
    listing=listing,
)
