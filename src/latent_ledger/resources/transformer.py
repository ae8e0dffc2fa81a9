"""Decoder-only transformer in numbers: parameters, operations and cache, from its ``config.json``.

The counts equal the published ones: 7,615,616,512 for Qwen2.5-7B, 2,614,341,888 for Gemma-2-2B.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "auto": 2}
"""Bytes of a number, by the dtype's name; ``auto`` is what published models come in."""


@dataclass(frozen=True)
class Family:
    """Norms and biases of the blocks of a family of models, besides their matrices."""

    norms: int
    """Vectors of `width` in a block's norms (a LayerNorm has two, an RMSNorm one)."""
    attention_bias: tuple[bool, bool]
    """Whether queries, keys and values have a bias, and whether the output has."""
    mlp_matrices: int
    mlp_bias: bool
    head_norms: bool = False
    """Whether queries and keys are normalised per head."""


FAMILIES = {
    "gpt_neox": Family(norms=4, attention_bias=(True, True), mlp_matrices=2, mlp_bias=True),
    "qwen2": Family(norms=2, attention_bias=(True, False), mlp_matrices=3, mlp_bias=False),
    "qwen3": Family(2, (False, False), 3, False, head_norms=True),
    "llama": Family(norms=2, attention_bias=(False, False), mlp_matrices=3, mlp_bias=False),
    "mistral": Family(norms=2, attention_bias=(False, False), mlp_matrices=3, mlp_bias=False),
    "gemma": Family(norms=2, attention_bias=(False, False), mlp_matrices=3, mlp_bias=False),
    "gemma2": Family(norms=4, attention_bias=(False, False), mlp_matrices=3, mlp_bias=False),
}
"""By ``model_type`` of the Hugging Face configuration."""


@dataclass(frozen=True)
class Architecture:
    """A decoder-only transformer in numbers."""

    family: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_size: int
    mlp_width: int
    vocabulary: int
    tied: bool

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Architecture | None:
        """From the content of a ``config.json``; None for a family that is not known here."""
        family = config.get("model_type")
        if family not in FAMILIES:
            return None
        width, heads = config["hidden_size"], config["num_attention_heads"]
        return cls(
            family=family,
            layers=config["num_hidden_layers"],
            width=width,
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_size=config.get("head_dim") or width // heads,
            mlp_width=config["intermediate_size"],
            vocabulary=config["vocab_size"],
            # transformers leaves the key out where it has the family's default
            tied=config.get("tie_word_embeddings", family.startswith("gemma")),
        )

    @property
    def block_parameters(self) -> int:
        """Parameters of one block."""
        family, d = FAMILIES[self.family], self.width
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        attention = d * (queries + 2 * keys) + queries * d
        biases = family.attention_bias[0] * (queries + 2 * keys) + family.attention_bias[1] * d
        mlp = family.mlp_matrices * d * self.mlp_width
        biases += family.mlp_bias * (self.mlp_width * (family.mlp_matrices - 1) + d)
        return attention + mlp + biases + family.norms * d + 2 * self.head_size * family.head_norms

    @property
    def parameters(self) -> int:
        """All parameters, as published."""
        final_norm = self.width * (2 if self.family == "gpt_neox" else 1)
        tables = self.vocabulary * self.width * (1 if self.tied else 2)
        return tables + self.layers * self.block_parameters + final_norm

    def operations(self, layers: int | None = None) -> int:
        """Floating-point operations per token of a forward pass: two per multiplied weight.

        With `layers` the pass stops behind that many blocks and has no unembedding.
        """
        if layers is None:
            return 2 * (self.layers * self.block_parameters + self.vocabulary * self.width)
        return 2 * min(layers, self.layers) * self.block_parameters

    def weights_bytes(self, dtype: str) -> int:
        """Bytes of all weights."""
        return self.parameters * BYTES[dtype]

    def cache_bytes(self, dtype: str) -> int:
        """Bytes of keys and values per token."""
        return 2 * self.layers * self.kv_heads * self.head_size * BYTES[dtype]
