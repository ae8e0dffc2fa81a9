"""Tiny models under published ids: the real architecture and tokenizer class, random and trained
for some seconds, so that their activations have structure and their losses a reason to change.

The Gemma-2 has what makes it Gemma-2: soft caps on attention and logits, a norm behind each MLP,
sliding windows on every other layer, tied embeddings, bfloat16, weights in several files with an
index. Pythia's two sizes are GPT-NeoX with as many layers as published.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GemmaTokenizer,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    GPTNeoXTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from latent_ledger.text.tokens import packed

VOCABULARY = 2048
WIDTH = 32
GEMMA_LAYERS = 21
"""One more than the deepest layer that is read, 19."""
PYTHIA_LAYERS = {"EleutherAI/pythia-70m-deduped": 6, "EleutherAI/pythia-160m-deduped": 12}

CONTEXT, BATCH = 64, 8
ALPHABET = 120
LEARNING_RATE = 4e-3


def gemma_tokenizer(texts: Iterable[str]) -> GemmaTokenizer:
    """Gemma's own class: BPE over text whose spaces are ``▁``, bytes for what it does not know."""
    trained = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    trained.normalizer = normalizers.Replace(" ", "▁")
    # Gemma's tokenizer has no words, only merges; that none crosses a space is training's doing.
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("▁", "merged_with_next"),
            pre_tokenizers.Split(Regex(r"[\p{P}\d\n]"), "isolated"),
        ]
    )
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    texts = list(texts)
    counts = Counter(character for text in texts for character in text.replace(" ", "▁"))
    # Named here, because the trainer breaks ties at a limit differently from run to run.
    alphabet = sorted(counts, key=lambda character: (-counts[character], character))[:ALPHABET]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))],
        initial_alphabet=alphabet,
        limit_alphabet=ALPHABET,
        show_progress=False,
    )
    trained.train_from_iterator(texts, trainer)
    vocabulary, merges = _learnt(trained)
    return GemmaTokenizer(vocab=vocabulary, merges=merges, model_max_length=8192)


def neox_tokenizer(texts: Iterable[str]) -> GPTNeoXTokenizer:
    """Pythia's own class: byte-level BPE with one token for end, beginning and unknown."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>", "<|padding|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    trained.train_from_iterator(texts, trainer)
    vocabulary, merges = _learnt(trained)
    return GPTNeoXTokenizer(vocab=vocabulary, merges=merges, model_max_length=2048)


def _learnt(tokenizer: Tokenizer) -> tuple[dict[str, int], list[tuple[str, str]]]:
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def gemma2(tokenizer: PreTrainedTokenizerBase) -> Gemma2ForCausalLM:
    """An untrained Gemma-2 of width 32."""
    return Gemma2ForCausalLM(
        Gemma2Config(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            num_hidden_layers=GEMMA_LAYERS,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            query_pre_attn_scalar=16,
            intermediate_size=2 * WIDTH,
            sliding_window=16,
            initializer_range=0.1,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            attn_implementation="eager",
        )
    )


def neox(tokenizer: PreTrainedTokenizerBase, layers: int) -> GPTNeoXForCausalLM:
    """An untrained GPT-NeoX of width 32."""
    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            num_hidden_layers=layers,
            num_attention_heads=2,
            intermediate_size=4 * WIDTH,
            max_position_embeddings=2048,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def rows(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Tensor:
    """The texts packed into contexts: int64 [contexts, 64]."""
    arrays, _ = packed(tokenizer, iter(texts), CONTEXT, None)
    return torch.from_numpy(arrays["input_ids"]).long()


def train(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], steps: int
) -> float:
    """Train in place for some steps in float32; returns the last step's loss in nats per token."""
    contexts = rows(tokenizer, texts)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    model.train()
    for _ in range(steps):
        batch = contexts[torch.randint(len(contexts), (BATCH,), generator=generator)]
        loss = model(input_ids=batch, labels=batch, use_cache=False).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return loss.item()


def save(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, dtype: torch.dtype
) -> Path:
    """Save as published: that dtype, the tokenizer beside it, weights in shards with an index."""
    model.eval().to(dtype).save_pretrained(folder, max_shard_size="100KB")
    tokenizer.save_pretrained(folder)
    return folder
