"""References to published models: their configuration, tokenizer and one format of weights."""

from collections.abc import Mapping
from pathlib import Path

from latent_ledger.artifacts import references
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import local

SMALL_FILES = ("*.json", "*.model", "*.txt", "*.jinja")
"""Configuration and tokenizer."""
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
"""Weight formats, best first; only the first that a model has is taken."""


def reference_hub(settings: Mapping, out: Path) -> dict:
    """Write the reference of a hub model into `out`; return it as the facts.

    `settings`: ``source`` (``owner/name``) and ``revision`` (branch, tag or commit; None: main).
    The revision written is the commit it resolved to. Raises :class:`LedgerError`, with what to
    type, if the model cannot be had.
    """
    source = settings["source"]
    folder = references.download(source, settings.get("revision"), SMALL_FILES, WEIGHTS)
    return references.write(out, source, folder.name, model_files(folder, source))


def reference_folder(settings: Mapping, out: Path) -> dict:
    """Write the reference of a local folder, ``source``, into `out`; return it as the facts.

    Raises :class:`LedgerError` if the folder does not exist or holds no model.
    """
    source = settings["source"]
    folder = local(source)
    if not folder.is_dir():
        raise LedgerError(f"model.source: the folder {source} does not exist.")
    return references.write(out, source, None, model_files(folder, source))


def model_files(folder: Path, source: str) -> list[Path]:
    """Configuration, tokenizer and one format of weights, sorted by name."""
    small = {path for pattern in SMALL_FILES for path in folder.glob(pattern)}
    formats = (sorted(folder.glob(pattern)) for pattern in WEIGHTS)
    weights = next((files for files in formats if files), [])
    if folder / "config.json" not in small or not weights:
        raise LedgerError(
            f"model.source: {source} is no language model: config.json and model.safetensors are "
            "expected in it."
        )
    return sorted({path for path in small if path.name != references.REFERENCE} | set(weights))
