"""Re-randomised control of a language model: architecture and tokenizer kept, weights drawn anew.

    config --the model's own initialisation, one seed--> new weights
           --keep: embeddings--> token embeddings and unembedding copied back from the original

Every parameter is made as transformers makes it before any training: matrices from a normal
distribution of the configuration's ``initializer_range``, biases at zero, norm gains at one. A
coder's detections in such a model come from text and architecture, not from learning.

``keep: embeddings`` leaves the tokens their learnt vectors, and with them the information of a bag
of tokens. Both ends are kept: in a tied model (Gemma-2) they are one matrix, so a model with two
(GPT-NeoX) keeps both, and the control means the same. Learnt positions are drawn anew. Heap et al.
(2025), arXiv 2501.17727, use the same two controls.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from latent_ledger.artifacts import references
from latent_ledger.lib.errors import LedgerError
from latent_ledger.models import language_model
from latent_ledger.text.tokenizer import load_tokenizer

KEEPS = ("embeddings", "nothing")


def produce(settings: Mapping[str, Any], model: Path, out: Path) -> dict[str, Any]:
    """Write the re-randomised model of the folder `model` and its tokenizer into `out`.

    `settings`: ``keep`` ("embeddings" or "nothing") and ``seed``. The output is whole, also where
    `model` is a reference, and in its number format. Facts: keep, seed, parameters, redrawn (how
    many of them), and kept (names of those that are not).
    """
    original = language_model.load_model(model, native_dtype(model))
    drawn = redraw(original, settings["keep"], settings["seed"])
    kept = embeddings(drawn) if settings["keep"] == "embeddings" else []
    sizes = {name: parameter.numel() for name, parameter in drawn.named_parameters()}
    drawn.save_pretrained(out)
    load_tokenizer(model).save_pretrained(out)
    return {
        "keep": settings["keep"],
        "seed": settings["seed"],
        "parameters": sum(sizes.values()),
        "redrawn": sum(sizes.values()) - sum(sizes[name] for name in kept),
        "kept": kept,
    }


def redraw(original: PreTrainedModel, keep: str, seed: int) -> PreTrainedModel:
    """A model of `original`'s configuration with new weights; torch's generator is left alone.

    Raises :class:`LedgerError` for an unknown `keep`.
    """
    if keep not in KEEPS:
        raise LedgerError(f"A randomised model keeps {' or '.join(KEEPS)}, not {keep!r}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        drawn = AutoModelForCausalLM.from_config(original.config, dtype=original.dtype)
    if keep == "embeddings":
        learnt = dict(original.named_parameters())
        with torch.no_grad():
            for name in embeddings(drawn):
                drawn.get_parameter(name).copy_(learnt[name])
    return drawn.eval()


def embeddings(model: PreTrainedModel) -> list[str]:
    """Names of the token embedding and, where it is a matrix of its own, the unembedding."""
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    weights = {id(end.weight) for end in ends if end is not None}
    return [name for name, parameter in model.named_parameters() if id(parameter) in weights]


def native_dtype(folder: Path) -> str:
    """Number format that a model's weights are stored in, as its configuration says."""
    config = AutoConfig.from_pretrained(references.resolve(folder), local_files_only=True)
    return str(config.dtype or torch.float32).removeprefix("torch.")
