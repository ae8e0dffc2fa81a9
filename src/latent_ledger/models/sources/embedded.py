"""Embedded model: a small GPT-NeoX, trained in the graph on a part of the corpus."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from latent_ledger.models.sources.source import Block, ModelSource

NAME = "embedded"


def produce(settings: Mapping, inputs: Mapping, out: Path, checkpoint: Callable) -> dict:
    """Train tokenizer and model on the corpus part ``text``."""
    from latent_ledger.models import training

    return training.produce(settings, inputs["text"], out, checkpoint())


def _numbers(block: Block) -> dict[str, Any] | None:
    """From the block ``training``; the context is the one the model is trained with."""
    training = block.get("training")
    if training is None:
        return None
    return {
        "model_type": "gpt_neox",
        "hidden_size": training["width"],
        "num_hidden_layers": training["layers"],
        "num_attention_heads": training["heads"],
        "intermediate_size": 4 * training["width"],
        "vocab_size": training["vocabulary"],
        "tie_word_embeddings": False,
        "max_position_embeddings": training["context"],
    }


def _settings(block: Block) -> dict[str, Any]:
    return {**block["training"], "source": NAME}


def _label(block: Block) -> str:
    return f"embedded GPT-NeoX {block['training']['layers']}x{block['training']['width']}"


SOURCE = ModelSource(
    name=NAME,
    form='"embedded"',
    accepts=lambda source: source == NAME,
    numbers=_numbers,
    settings=_settings,
    produce=produce,
    label=_label,
    trained_on="model",
)
