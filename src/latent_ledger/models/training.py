"""Training of the embedded model: a tokenizer and a small GPT-NeoX, in minutes.

It is Pythia in miniature: parallel residual, rotary positions, untied embeddings. Recipe, tuned for
two cores: a small vocabulary, many short steps, Muon (Jordan et al., 2024) for the hidden matrices
with AdamW's update size (Liu et al., 2025, arXiv 2502.16982), AdamW for embeddings, norms and
biases, and a linear decay to zero. Contexts start with BOS, as those of a capture.

Same settings and corpus give the same bytes: fixed steps, a schedule of rows drawn from the seed,
a fixed number of threads (sums change their order with it). A run that is killed and started again
goes on from its checkpoint and ends with the bytes of an uninterrupted one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import digest_json, sha256_file
from latent_ledger.lib.progress import Progress
from latent_ledger.models.checkpoint import Checkpoint
from latent_ledger.models.language_model import ATTENTION
from latent_ledger.models.muon import Muon
from latent_ledger.text.corpora.splits import position
from latent_ledger.text.corpus import read
from latent_ledger.text.tokens import packed, train_tokenizer

HELD_OUT = 0.02
"""Share of the part's documents, by hash, that is only used to measure the loss."""
HELD_OUT_CONTEXTS = 512

LEARNING_RATE = 0.01
"""Of Muon and of AdamW."""
THREADS = 2
CHECKPOINT_STEPS = 100


def produce(settings: Mapping, corpus: Path, out: Path, checkpoint: Path | None = None) -> dict:
    """Train tokenizer and model on a corpus part and save both into `out`; return the facts.

    `settings`: ``vocabulary``, ``layers``, ``width``, ``heads``, ``context`` (tokens), ``batch``
    (contexts per step), ``steps``, ``seed``. `checkpoint` is the folder of an unfinished run's
    state. Facts: parameters, tokens trained on, and the loss on held-out documents.
    """
    _check(settings)
    torch.manual_seed(settings["seed"])
    with _threads(THREADS):
        training, held_out = _held_out_split(corpus)
        tokenizer = train_tokenizer(training, settings["vocabulary"])
        rows = _contexts(tokenizer, training, settings)
        model = build(settings)
        identity = digest_json([dict(settings), sha256_file(corpus / "documents.parquet")])
        train(model, rows, settings, Checkpoint(checkpoint, identity))
        facts = {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "training_tokens": settings["steps"] * settings["batch"] * settings["context"],
            "corpus_tokens": rows.numel(),
            **held_out_loss(model, tokenizer, held_out, settings),
        }
    model.eval()
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return facts


def build(settings: Mapping) -> GPTNeoXForCausalLM:
    """The untrained model, initialised from torch's generator as transformers initialises it."""
    config = GPTNeoXConfig(
        vocab_size=settings["vocabulary"],
        hidden_size=settings["width"],
        num_hidden_layers=settings["layers"],
        num_attention_heads=settings["heads"],
        intermediate_size=4 * settings["width"],
        max_position_embeddings=max(512, settings["context"]),
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        use_cache=False,
        attn_implementation=ATTENTION,  # type: ignore[call-arg]  # taken by the base class
    )
    return GPTNeoXForCausalLM(config)


def train(
    model: GPTNeoXForCausalLM, rows: Tensor, settings: Mapping, checkpoint: Checkpoint
) -> None:
    """Train in place on `rows`, int64 [contexts, context], for a fixed number of steps."""
    steps, batch = settings["steps"], settings["batch"]
    optimizers = _optimizers(model)
    schedulers = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        for optimizer in optimizers
    ]
    order = _order(len(rows), steps * batch, settings["seed"])
    stateful: list[Any] = [model, *optimizers, *schedulers]
    first = 0
    if state := checkpoint.load():
        first = state["step"]
        for part, saved in zip(stateful, state["states"], strict=True):
            part.load_state_dict(saved)
    model.train()
    with Progress("train model", total=steps, unit="step", start=first) as progress:
        began = time.monotonic()
        for step in range(first, steps):
            input_ids = rows[order[step * batch : (step + 1) * batch]]
            loss = next_token_loss(model, input_ids)
            loss.backward()
            for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad(set_to_none=True)
            rate = (step + 1 - first) * input_ids.numel() / (time.monotonic() - began)
            progress.update(1, loss=loss.item(), **{"tokens/s": rate})
            if (step + 1) % CHECKPOINT_STEPS == 0 and step + 1 < steps:
                states = [part.state_dict() for part in stateful]
                checkpoint.save({"step": step + 1, "states": states})


def next_token_loss(model: GPTNeoXForCausalLM, input_ids: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of every token but the first: input_ids [batch, context]."""
    logits = model(input_ids=input_ids[:, :-1]).logits
    return nn.functional.cross_entropy(logits.flatten(0, 1), input_ids[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(
    model: GPTNeoXForCausalLM, tokenizer, texts: list[str], settings: Mapping
) -> dict[str, float | int]:
    """Loss on documents the model never saw: nats per token (EOS included) and bits per byte."""
    context = settings["context"]
    arrays, counts = packed(tokenizer, iter(texts), context, HELD_OUT_CONTEXTS * (context - 1))
    rows = torch.from_numpy(arrays["input_ids"]).long()
    if not len(rows):
        raise LedgerError(
            "The held-out documents fill no context: enlarge corpus.parts.model, or shorten "
            "model.training.context."
        )
    model.eval()
    nats = sum(
        next_token_loss(model, batch).item() * batch[:, 1:].numel() for batch in rows.split(32)
    )
    tokens = rows[:, 1:].numel()
    return {
        "held_out_tokens": tokens,
        "held_out_nats_per_token": nats / tokens,
        "held_out_bits_per_byte": nats / math.log(2) / counts["bytes"],
    }


def _optimizers(model: nn.Module) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for everything else."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        hidden = ".layers." in name and parameter.dim() == 2
        (matrices if hidden else rest).append(parameter)
    return [
        Muon(matrices, lr=LEARNING_RATE),
        torch.optim.AdamW(rest, lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _order(rows: int, count: int, seed: int) -> np.ndarray:
    """Which row is read when: one seeded permutation of all rows after another."""
    generator = np.random.default_rng(seed)
    passes = [generator.permutation(rows) for _ in range(math.ceil(count / rows))]
    return np.concatenate(passes)[:count]


def _held_out_split(corpus: Path) -> tuple[list[str], list[str]]:
    """The part's texts: those to train on, and the held-out ones."""
    table = read(corpus, ["sha256", "text"])
    sides: tuple[list[str], list[str]] = ([], [])
    for digest, text in zip(table["sha256"].to_pylist(), table["text"].to_pylist(), strict=True):
        sides[position(digest, "held out") < HELD_OUT].append(text)
    return sides


def _contexts(tokenizer, texts: list[str], settings: Mapping) -> Tensor:
    """The training texts as packed contexts, int64 [contexts, context]; only as many as needed."""
    n_tokens = settings["steps"] * settings["batch"] * (settings["context"] - 1)
    arrays, _ = packed(tokenizer, iter(texts), settings["context"], n_tokens)
    if len(arrays["input_ids"]) < settings["batch"]:
        raise LedgerError(
            f"The model's corpus part fills {len(arrays['input_ids'])} contexts of "
            f"{settings['context']} tokens, fewer than one batch of {settings['batch']}: enlarge "
            "corpus.parts.model."
        )
    return torch.from_numpy(arrays["input_ids"]).long()


def _check(settings: Mapping) -> None:
    width, heads = settings["width"], settings["heads"]
    # Rotary positions turn pairs of a quarter of each head's dimensions.
    if width % heads or (width // heads) % 8:
        raise LedgerError(
            f"model.training.width is {width} with {heads} heads: a head needs a multiple of 8 "
            f"dimensions, for example width {32 * heads}."
        )
    if settings["steps"] < 1 or settings["batch"] < 1 or settings["context"] < 2:
        raise LedgerError(
            "model.training: steps and batch start at 1, and a context holds at least 2 tokens."
        )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
