"""Language models, loaded for reading from a folder, whole or a reference.

Their *eager* attention is deterministic, applies Gemma-2's soft-capping, and is the arithmetic that
hook-point parity is measured against.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from latent_ledger.artifacts import references
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.suggestions import nearest

transformers_logging.disable_progress_bar()  # a log is no place for bars of carriage returns

ATTENTION = "eager"
DTYPES = ("float32", "bfloat16", "float16")


def load_model(
    folder: Path, dtype: str = "float32", device: str | torch.device = "cpu"
) -> PreTrainedModel:
    """Load a causal language model for reading: eval mode, no gradients, eager attention.

    Raises :class:`LedgerError` for an unknown dtype, a folder that holds no model, and weights that
    do not cover the architecture (transformers would fill the rest with random numbers).
    """
    if dtype not in DTYPES:
        near = nearest(dtype, DTYPES, cutoff=0.0)
        raise LedgerError(f"There is no model dtype {dtype!r}; the nearest is {near!r}.")
    target = references.resolve(folder)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            target,
            dtype=getattr(torch, dtype),
            attn_implementation=ATTENTION,
            local_files_only=True,
            output_loading_info=True,
        )
        model, info = loaded
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
