"""Published models: of the Hugging Face hub, ``owner/name``, or of a local folder, ``./name``.

Their jobs write a reference (:mod:`latent_ledger.artifacts.references`) to the configuration, the
tokenizer and one format of weights.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import listing, local
from latent_ledger.lib.hub import HUB_ID, cached_file
from latent_ledger.models.sources.source import Block, ModelSource

SMALL_FILES = ("*.json", "*.model", "*.txt", "*.jinja")
"""Configuration and tokenizer."""
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
"""Weight formats, best first; only the first that a model has is taken."""


def pin_hub(settings: Mapping, inputs: Mapping, out: Path, checkpoint: Callable) -> dict:
    """Write the reference of a hub model: the commit it resolved to and the sha256 of its files.

    Raises :class:`LedgerError`, with what to type, if the model cannot be had.
    """
    from latent_ledger.artifacts import references

    source = settings["source"]
    folder = references.download(source, settings.get("revision"), SMALL_FILES, WEIGHTS)
    return _write_reference(out, source, folder.name, folder)


def pin_folder(settings: Mapping, inputs: Mapping, out: Path, checkpoint: Callable) -> dict:
    """Write the reference of a local folder: the sha256 of its files.

    Raises :class:`LedgerError` if the folder does not exist or holds no model.
    """
    source = settings["source"]
    if not local(source).is_dir():
        raise LedgerError(f"model.source: the folder {source} does not exist.")
    return _write_reference(out, source, None, local(source))


def _write_reference(out: Path, source: str, revision: str | None, folder: Path) -> dict:
    from latent_ledger.artifacts import references

    small = {path for pattern in SMALL_FILES for path in folder.glob(pattern)}
    formats = (sorted(folder.glob(pattern)) for pattern in WEIGHTS)
    weights = next((files for files in formats if files), [])
    if folder / "config.json" not in small or not weights:
        raise LedgerError(
            f"model.source: {source} is no language model: config.json and model.safetensors are "
            "expected in it."
        )
    small = {path for path in small if path.name != references.REFERENCE}
    return references.write(out, source, revision, sorted(small | set(weights)))


def _hub_numbers(block: Block) -> dict[str, Any] | None:
    """Known once ``config.json`` lies in the local hub cache; the job checks it again."""
    revision = block.get("revision") or "main"
    return _text_config(cached_file(block["source"], revision, "config.json"))


def _folder_numbers(block: Block) -> dict[str, Any] | None:
    return _text_config(local(block["source"]) / "config.json")


def _text_config(path: Path | None) -> dict[str, Any] | None:
    """A ``config.json``, the part about text; None where the file is missing or unreadable."""
    try:
        config = json.loads(path.read_text(encoding="utf-8")) if path else None
    except (OSError, ValueError):
        return None
    config = config.get("text_config", config) if isinstance(config, dict) else None
    return config if isinstance(config, dict) else None


def _hub_settings(block: Block) -> dict[str, Any]:
    return {"source": block["source"], "revision": block.get("revision")}


def _folder_settings(block: Block) -> dict[str, Any]:
    return _hub_settings(block) | listing(block["source"])


HUB = ModelSource(
    name="hub",
    form="a hub id as owner/name",
    accepts=lambda source: HUB_ID.fullmatch(source) is not None,
    numbers=_hub_numbers,
    settings=_hub_settings,
    produce=pin_hub,
)
FOLDER = ModelSource(
    name="folder",
    form="a folder as ./name",
    accepts=lambda source: source.startswith((".", "/", "~")),
    numbers=_folder_numbers,
    settings=_folder_settings,
    produce=pin_folder,
    listing=listing,
)
