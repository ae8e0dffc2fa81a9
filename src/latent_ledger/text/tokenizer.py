"""Tokenizer of a model folder, whole or a reference."""

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from latent_ledger.artifacts import references
from latent_ledger.lib.errors import LedgerError


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a model folder's tokenizer. Raises :class:`LedgerError` if it has none."""
    target = references.resolve(folder)
    try:
        return AutoTokenizer.from_pretrained(target, local_files_only=True)
    except (OSError, ValueError) as error:
        line = str(error).strip().splitlines()[0]
        raise LedgerError(f"The folder {folder} holds no tokenizer: {line}") from error
