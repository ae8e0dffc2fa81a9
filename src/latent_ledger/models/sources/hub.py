"""Models of the Hugging Face hub, ``owner/name`` with a ``revision``."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from latent_ledger.lib.hub import HUB_ID, cached_file
from latent_ledger.models.sources.source import (
    Block,
    ModelSource,
    read_numbers,
    source_label,
)


def numbers(block: Block) -> dict[str, Any] | None:
    """Known once ``config.json`` lies in the local hub cache; the job checks it again."""
    revision = block.get("revision") or "main"
    return read_numbers(cached_file(block["source"], revision, "config.json"))


def settings(block: Block) -> dict[str, Any]:
    """The id and the name of its revision; the job resolves it to a commit."""
    return {"source": block["source"], "revision": block.get("revision")}


def produce(
    settings: Mapping[str, Any],
    inputs: Mapping[str, Path],
    out: Path,
    checkpoint: Callable[[], Path],
) -> dict:
    """Pin the model to a commit and the sha256 of its files."""
    from latent_ledger.models import published

    return published.reference_hub(settings, out)


SOURCE = ModelSource(
    name="hub",
    form="a hub id as owner/name",
    accepts=lambda source: HUB_ID.fullmatch(source) is not None,
    numbers=numbers,
    settings=settings,
    produce=produce,
    label=source_label,
)
