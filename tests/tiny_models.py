"""Tiny random language models and token sets, saved the way real ones are.

Two architectures that differ where it matters for hook points:

* GPT-NeoX (Pythia): parallel residual, LayerNorm, no post-norm: ``mlp_out == mlp_out_normed``.
* Gemma-2: RMSNorm with gain ``1 + w``, a norm *behind* the MLP, soft-capped logits, sliding window
  attention on every other layer: ``mlp_out != mlp_out_normed``.

All weights, biases and norm gains are random and of order one, so that no two tensors of a model
coincide by accident. The tokenizer is byte-level: token = byte, then BOS, EOS and PAD.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from latent_ledger.lib.files import sha256_file, write_json

BOS, EOS, PAD = 256, 257, 258
VOCABULARY = 259


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token per UTF-8 byte (in the byte-level alphabet's order), then BOS, EOS, PAD."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({char: i for i, char in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<bos>", "<eos>", "<pad>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )


def randomise(model: PreTrainedModel, seed: int) -> None:
    """Redraw every parameter: matrices keep unit variance, vectors (gains, biases) vary by 0.3."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() == 2:
            parameter.data = noise * (0.5 if "embed_in" in name else parameter.shape[1] ** -0.5)
        else:
            is_layer_norm_gain = name.endswith("weight") and "gpt_neox" in name
            parameter.data = 0.3 * noise + (1.0 if is_layer_norm_gain else 0.0)


def _save(model: PreTrainedModel, folder: Path, seed: int) -> Path:
    randomise(model, seed)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def neox_folder(
    folder: Path,
    *,
    layers: int = 3,
    width: int = 32,
    heads: int = 4,
    vocabulary: int = VOCABULARY,
    context: int = 64,
    seed: int = 0,
) -> Path:
    """Save a random GPT-NeoX and the byte tokenizer into `folder`; returns `folder`."""
    config = GPTNeoXConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=context,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
        tie_word_embeddings=False,
    )
    return _save(GPTNeoXForCausalLM(config), Path(folder), seed)


def gemma2_folder(
    folder: Path,
    *,
    layers: int = 3,
    width: int = 32,
    heads: int = 4,
    vocabulary: int = VOCABULARY,
    context: int = 64,
    seed: int = 0,
) -> Path:
    """Save a random Gemma-2 (post-norm gains far from one) and the byte tokenizer."""
    config = Gemma2Config(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        head_dim=width // heads,
        query_pre_attn_scalar=width // heads,
        intermediate_size=3 * width,
        max_position_embeddings=context,
        sliding_window=max(context // 4, 4),
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )
    return _save(Gemma2ForCausalLM(config), Path(folder), seed)


def packed_tokens(
    folder: Path,
    *,
    contexts: int = 10,
    context: int = 16,
    vocabulary: int = 256,
    document: int = 11,
    seed: int = 0,
) -> Path:
    """Save a packed token set of random ids: BOS, then documents of `document` tokens with EOS."""
    generator = np.random.default_rng(seed)
    body = contexts * (context - 1)
    place = np.arange(body) % (document + 1)
    ids = np.where(place == document, EOS, generator.integers(0, vocabulary, body))
    docs = np.where(place == document, -1, np.arange(body) // (document + 1))
    input_ids = np.full((contexts, context), BOS, np.int32)
    doc_ids = np.full((contexts, context), -1, np.int32)
    input_ids[:, 1:] = ids.reshape(contexts, -1)
    doc_ids[:, 1:] = docs.reshape(contexts, -1)
    lengths = np.full(contexts, context, np.int32)
    return _save_tokens(folder, input_ids, doc_ids, lengths, "packed")


def example_tokens(
    folder: Path, *, lengths: Sequence[int], context: int = 16, vocabulary: int = 256, seed: int = 0
) -> Path:
    """Save an "examples" token set of random ids: BOS + text per row, right padded to `context`."""
    generator = np.random.default_rng(seed)
    sizes = np.asarray(lengths, np.int32)
    input_ids = generator.integers(0, vocabulary, (len(sizes), context)).astype(np.int32)
    input_ids[:, 0] = BOS
    real = np.arange(context) < sizes[:, None]
    input_ids[~real] = PAD
    doc_ids = np.where(real, np.arange(len(sizes))[:, None], -1).astype(np.int32)
    doc_ids[:, 0] = -1
    return _save_tokens(folder, input_ids, doc_ids, sizes, "examples")


def _save_tokens(
    folder: Path, input_ids: np.ndarray, doc_ids: np.ndarray, lengths: np.ndarray, layout: str
) -> Path:
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {"input_ids": input_ids, "doc_ids": doc_ids, "lengths": lengths}
    save_file(arrays, folder / "tokens.safetensors")
    documents = np.unique(doc_ids[doc_ids >= 0])
    table = {
        "doc_id": documents.astype(np.int64),
        "sha256": [f"{doc:064x}" for doc in documents],
        "source": ["random"] * len(documents),
    }
    if layout == "examples":
        table |= {
            "concept": ["even"] * len(documents),
            "label": (documents % 2 == 0).astype(np.int8),
            "split": ["train" if doc % 4 < 2 else "test" for doc in documents],
        }
    pq.write_table(pa.table(table), folder / "documents.parquet")
    write_json(
        folder / "meta.json",
        {
            "context": input_ids.shape[1],
            "bos_id": BOS,
            "eos_id": EOS,
            "pad_id": PAD,
            "vocab_size": VOCABULARY,
            "n_contexts": len(input_ids),
            "n_tokens": int((doc_ids >= 0).sum()),
            "n_bytes": int((doc_ids >= 0).sum()),
            "layout": layout,
        },
    )
    return folder


def flip_a_bit(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "flipped": flip_a_bit,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "empty": lambda path: path.write_bytes(b""),
    "foreign": lambda path: path.write_text("hello"),
}
"""What happens to a file on a disk -> a function that does it."""


def folder_digest(folder: Path) -> dict[str, str]:
    """sha256 of every file below `folder` by relative path: what byte-equality tests compare."""
    return {
        str(path.relative_to(folder)): sha256_file(path)
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }
