"""Language models: where they come from, and how they are loaded.

A model folder is either whole (written by ``save_pretrained``) or a *reference*: a single
``reference.json`` that names a hub id with its commit, or a local folder, and the sha256 of each of
its files. A reference keeps gigabytes out of the store while pinning them to the bit: loading
resolves it and checks every file once per process.

Models are loaded to be read: evaluation mode, no gradients, and the *eager* attention, which is
deterministic, applies Gemma-2's soft-capping, and is the arithmetic that hook-point parity is
measured against.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from latent_ledger.lib.errors import CorruptPayload, LedgerError
from latent_ledger.lib.files import read_json, sha256_file, write_json

transformers_logging.disable_progress_bar()  # a log is no place for bars of carriage returns

REFERENCE = "reference.json"
ATTENTION = "eager"
DTYPES = ("float32", "bfloat16", "float16")

SMALL_FILES = ("*.json", "*.model", "*.txt", "*.jinja")
"""Configuration and tokenizer."""
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
"""Weight formats, best first; only the first that a model has is taken."""


def produce_reference(settings: Mapping, out: Path) -> dict:
    """Write ``reference.json`` for a model that is not trained here; return it as the facts.

    `settings`: ``source`` (hub id, or local folder) and ``revision`` (branch, tag or commit of the
    hub; ignored for a folder). The revision written is the commit it resolved to. Raises
    :class:`LedgerError`, with what to type, if the model cannot be had.
    """
    source = settings["source"]
    local = Path(source).expanduser()
    if local.is_dir():
        folder, revision = local, None
    elif source.startswith((".", "/", "~")):
        raise LedgerError(f"model.source: the folder {source} does not exist.")
    else:
        folder = _download(source, settings.get("revision"))
        revision = folder.name
    reference = {
        "source": source,
        "revision": revision,
        "files": {path.name: sha256_file(path) for path in _model_files(folder, source)},
    }
    write_json(Path(out) / REFERENCE, reference)
    return reference


def resolve(folder: Path) -> Path:
    """The folder with the model's files, a reference followed and its files checked.

    Raises :class:`CorruptPayload` if a file is missing or no longer has its recorded content.
    """
    folder = Path(folder)
    if not (folder / REFERENCE).exists():
        return folder
    reference = read_json(folder / REFERENCE)
    source, revision = reference["source"], reference["revision"]
    target = Path(source).expanduser()
    if revision is not None:
        target = _download(source, revision, tuple(reference["files"]))
    for name, digest in reference["files"].items():
        path = target / name
        if not path.exists():
            raise CorruptPayload(f"The model {source} has lost its file {name}: restore it.")
        stat = path.stat()
        if _sha256_once(path, stat.st_mtime_ns, stat.st_size) != digest:
            raise CorruptPayload(
                f"The file {name} of the model {source} changed since its reference was made: "
                "restore it, or make the reference again (its results are then new ones)."
            )
    return target


def load_model(
    folder: Path, dtype: str = "float32", device: str | torch.device = "cpu"
) -> PreTrainedModel:
    """Load a causal language model for reading: eval mode, no gradients, eager attention.

    Raises :class:`LedgerError` for an unknown dtype, a folder that holds no model, and weights that
    do not cover the architecture (transformers would fill the rest with random numbers).
    """
    if dtype not in DTYPES:
        near = difflib.get_close_matches(dtype, DTYPES, 1, 0.0)[0]
        raise LedgerError(f"There is no model dtype {dtype!r}; the nearest is {near!r}.")
    target = resolve(folder)
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            target,
            dtype=getattr(torch, dtype),
            attn_implementation=ATTENTION,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError) as error:
        line = str(error).strip().splitlines()[0]
        raise LedgerError(f"The folder {folder} holds no language model: {line}") from error
    lost = sorted(info["missing_keys"]) + sorted(str(key) for key in info["mismatched_keys"])
    if lost:
        raise LedgerError(
            f"The weights in {folder} lack {len(lost)} tensors of the architecture, for example "
            f"{lost[0]}: the folder is incomplete or config.json belongs to another model."
        )
    return model.eval().requires_grad_(False).to(device)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a model folder's tokenizer. Raises :class:`LedgerError` if it has none."""
    target = resolve(folder)
    try:
        return AutoTokenizer.from_pretrained(target, local_files_only=True)
    except (OSError, ValueError) as error:
        line = str(error).strip().splitlines()[0]
        raise LedgerError(f"The folder {folder} holds no tokenizer: {line}") from error


def num_layers(model: PreTrainedModel) -> int:
    """How many transformer blocks a model has."""
    return model.config.get_text_config().num_hidden_layers


def layers(model: PreTrainedModel) -> nn.ModuleList:
    """The transformer blocks, found as sparsify finds them."""
    from sparsify.utils import get_layer_list

    return get_layer_list(model)[1]


@functools.cache
def _sha256_once(path: Path, modified: int, size: int) -> str:
    """sha256 of a file, once per process as long as it keeps its time and size."""
    return sha256_file(path)


def _model_files(folder: Path, source: str) -> list[Path]:
    """Configuration, tokenizer and one format of weights, sorted by name."""
    small = {path for pattern in SMALL_FILES for path in folder.glob(pattern)}
    weights = next((found for p in WEIGHTS if (found := sorted(folder.glob(p)))), [])
    if folder / "config.json" not in small or not weights:
        raise LedgerError(
            f"model.source: {source} is no language model: config.json and model.safetensors are "
            "expected in it."
        )
    return sorted({path for path in small if path.name != REFERENCE} | set(weights))


def _download(source: str, revision: str | None, files: Sequence[str] | None = None) -> Path:
    """The local snapshot of a hub model, downloaded where the cache lacks it.

    With `files`, a snapshot in the cache that has them all is taken without asking the hub.
    """
    at = f"{source} (revision {revision or 'main'})"
    try:
        if files:
            with contextlib.suppress(LocalEntryNotFoundError):
                cached = Path(snapshot_download(source, revision=revision, local_files_only=True))
                if all((cached / name).exists() for name in files):
                    return cached
            return Path(snapshot_download(source, revision=revision, allow_patterns=list(files)))
        for weights in WEIGHTS:
            folder = Path(
                snapshot_download(
                    source,
                    revision=revision,
                    allow_patterns=[*SMALL_FILES, weights],
                    ignore_patterns=["*/*"],  # copies in other formats live in subfolders
                )
            )
            if any(folder.glob(weights)):
                break
        return folder
    except GatedRepoError:
        raise LedgerError(
            f"The model {at} is gated: accept its licence at https://huggingface.co/{source}, then "
            "type `hf auth login` (or set HF_TOKEN)."
        ) from None
    except RevisionNotFoundError:
        raise LedgerError(f"The model {source} has no revision {revision!r}.") from None
    except RepositoryNotFoundError:
        raise LedgerError(
            f"The hub has no model {source!r}, or it is private: check model.source, or type "
            "`hf auth login`."
        ) from None
    except HFValidationError:
        raise LedgerError(
            f"model.source: {source!r} is neither 'embedded', an existing folder, nor a hub id of "
            "the form owner/name."
        ) from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError) as error:
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        raise LedgerError(
            f"The model {at} is not in the local cache and the hub cannot be reached ({cause}): "
            f"unset HF_HUB_OFFLINE, or type `hf download {source}` where there is a network and "
            "bring the folder here."
        ) from None
