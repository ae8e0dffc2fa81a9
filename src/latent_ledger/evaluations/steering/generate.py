"""Texts sampled under steering vectors, on common random numbers, and a pass that reads them.

    prompt --prefill--> cache --one token at a time--> text        vector added at the hook point
    BOS + prompt + text --one pass, no hook--> perplexity, activations that the judge reads

*Steering* adds a row's vector to the hook point's value at every position of prompt and text; BOS
keeps its value, as special positions do in every splice here.

*Common random numbers.* Token t of generation i is ``argmax(logits / T + g[i, t])`` with Gumbel
noise g, which samples the softmax exactly. The noise of a generation comes from a separate
stream and is the same for every cell (arm and coefficient), so cells differ by the effect of the
vector alone, and a zero vector gives the unsteered text. Streams are named by purpose and index, so
the batch size changes no text. Special tokens are never sampled: all texts have one length.

Source: Gumbel-max sampling, Maddison et al. 2014 (arXiv 1411.0030).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional
from transformers import PreTrainedModel

from latent_ledger.evaluations.reconstruction.splicing import check_live
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import digest_json
from latent_ledger.models import hooks, language_model
from latent_ledger.models.device import best_device
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.models.shards import ActivationShards
from latent_ledger.text.tokenizer import load_tokenizer
from latent_ledger.text.tokens import encode

CHECKED = 8
"""Labelled examples on which the live model is compared with the stored activations."""


@dataclass(frozen=True)
class Reading:
    """One pass of the unsteered model over texts: perplexity [n], features for the judge [n, d]."""

    perplexity: np.ndarray
    features: np.ndarray


class Writer:
    """The model in `folder`, steered at the hook point of one capture and read at another's.

    `settings` are those of the evaluation, `meta` is that of the captures' token set.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        folder: Path,
        meta: Mapping[str, Any],
        output_hook: ActivationShards,
        judged: ActivationShards,
    ) -> None:
        self.settings, self.meta, self.captures = settings, meta, (output_hook, judged)
        self.output_hook, self.judged = (HookPoint.parse(c.hook_point) for c in self.captures)
        self.device = best_device()
        self.model = language_model.load_model(folder, settings["model_dtype"], self.device)
        self.tokenizer = load_tokenizer(folder)
        special = {meta[name] for name in ("bos_id", "eos_id", "pad_id")}
        logits = self.model.config.get_text_config().vocab_size  # may exceed the tokens
        self.never = sorted(special.union(range(meta["vocab_size"], logits)))

    def check(self, tokens: Path) -> None:
        """Raise :class:`GateError` unless the model computes the stored activations."""
        arrays = load_file(tokens / "tokens.safetensors")
        ids = arrays["input_ids"][:CHECKED].long().to(self.device)
        is_text = arrays["doc_ids"][:CHECKED] >= 0
        for hook_point, capture in zip((self.output_hook, self.judged), self.captures, strict=True):
            live = hooks.read(self.model, ids, [hook_point])[hook_point].cpu()
            check_live(live[is_text], capture, CHECKED)

    def prompt(self, text: str) -> list[int]:
        """Token ids of a prompt, BOS first. Raises :class:`LedgerError` if it is too long."""
        ids = [self.meta["bos_id"], *encode(self.tokenizer, [text])[0].tolist()]
        new, limit = self.settings["new_tokens"], self.meta["context"]
        if len(ids) + new > limit:
            raise LedgerError(
                f"steering.prompts: {text!r} takes {len(ids)} tokens with BOS, and with {new} new "
                f"ones it exceeds the probing context, {limit}: shorten it, or lower "
                "steering.new_tokens."
            )
        return ids

    def texts(
        self, prompt: Sequence[int], vectors: np.ndarray, *purpose: int | str
    ) -> tuple[np.ndarray, Reading]:
        """One text per cell and generation: ids [cells, n, new_tokens], and their reading.

        `vectors` [cells, n, d] are added at the output hook; `purpose` names the random streams.
        The reading's perplexity is [cells, n], its features [cells, n, d].
        """
        cells, n, d = vectors.shape
        size = max(1, self.settings["batch"] // cells)  # all cells of a generation in one batch
        parts = []
        for low in range(0, n, size):
            batch = np.ascontiguousarray(vectors[:, low : low + size], dtype=np.float32)
            ids = write(
                self.model,
                self.output_hook,
                prompt,
                torch.from_numpy(batch).to(self.device),
                [stream(*purpose, low + index) for index in range(batch.shape[1])],
                new_tokens=self.settings["new_tokens"],
                temperature=self.settings["temperature"],
                never=self.never,
            )
            reading = read(self.model, self.judged, prompt, ids.reshape(-1, ids.shape[-1]))
            perplexity = reading.perplexity.reshape(cells, -1)
            parts.append((ids, perplexity, reading.features.reshape(cells, -1, d)))
        ids, perplexity, features = (
            np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True)
        )
        return ids, Reading(perplexity, features)


def stream(*purpose: int | str) -> np.random.Generator:
    """The random stream named by `purpose` (a seed and names), independent of all others."""
    return np.random.default_rng(int(digest_json(list(purpose)), 16))


@torch.inference_mode()
def write(
    model: PreTrainedModel,
    hook_point: HookPoint,
    prompt: Sequence[int],
    vectors: torch.Tensor,
    streams: Sequence[np.random.Generator],
    *,
    new_tokens: int,
    temperature: float,
    never: Sequence[int],
) -> np.ndarray:
    """Sample a text of `new_tokens` tokens per cell and generation: ids [cells, n, new_tokens].

    `prompt`: token ids, BOS first. `vectors` [cells, n, d] are added at `hook_point`. `streams`:
    the n generations' noise, shared by the cells. `never`: ids that are not sampled.
    """
    cells, n, d = vectors.shape
    added = vectors.reshape(cells * n, 1, d)
    inside = torch.ones(len(prompt), 1, device=added.device)
    inside[0] = 0  # BOS
    token = torch.tensor(prompt, device=added.device).expand(cells * n, -1)
    cache, written = None, []
    for _ in range(new_tokens):
        step = added * inside if cache is None else added
        with hooks.hooked(model, {hook_point: partial(_add, step)}):
            output = model(token, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        logits = output.logits[:, -1].float() / temperature
        logits[:, list(never)] = -torch.inf
        noise = np.stack([rng.gumbel(size=logits.shape[1]) for rng in streams])
        noise = torch.from_numpy(noise).to(logits)
        token = (logits.view(cells, n, -1) + noise).argmax(-1).view(cells * n, 1)
        written.append(token)
    return torch.cat(written, dim=1).view(cells, n, new_tokens).cpu().numpy()


def _add(vectors: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return value + vectors.to(value.dtype)


@torch.inference_mode()
def read(
    model: PreTrainedModel, hook_point: HookPoint, prompt: Sequence[int], texts: np.ndarray
) -> Reading:
    """Read `texts` [n, new_tokens] behind `prompt` in one pass without any steering.

    Perplexity is exp of the mean loss of a text's tokens; features are the mean of `hook_point`
    over them, in float64. Neither counts the prompt.
    """
    device = next(model.parameters()).device
    written = torch.from_numpy(texts).to(device)
    ids = torch.cat([torch.tensor(prompt, device=device).expand(len(texts), -1), written], dim=1)
    seen: list[torch.Tensor] = []
    with hooks.hooked(model, {hook_point: seen.append}):
        logits = model(ids, use_cache=False).logits[:, len(prompt) - 1 : -1]
    features = seen[0][:, len(prompt) :].double().mean(dim=1)
    losses = functional.cross_entropy(
        logits.float().flatten(0, 1), written.flatten(), reduction="none"
    )
    losses = losses.view(written.shape).double().mean(dim=1)
    return Reading(losses.exp().cpu().numpy(), features.cpu().numpy())
