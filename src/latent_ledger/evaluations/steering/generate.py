"""Sampling under a steering vector, on common random numbers, and a pass that reads the text.

    prompt --prefill--> cache --one token at a time--> text        vector added at the hook point
    BOS + prompt + text --one pass, no hook--> perplexity, activations that the judge reads

*Steering* adds a row's vector to the hook point's value at every position of prompt and text; BOS
keeps its value, as special positions do in every splice here.

*Common random numbers.* Token t of generation i is ``argmax(logits / T + g[i, t])`` with Gumbel
noise g, which samples the softmax exactly. The noise of a generation comes from a separate
stream and is the same for every cell (arm and coefficient), so cells differ by the effect of the
vector alone, and a zero vector gives the unsteered text. Special tokens are never sampled:
all texts have one length.

Source: Gumbel-max sampling, Maddison et al. 2014 (arXiv 1411.0030).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from latent_ledger.lib.files import digest_json
from latent_ledger.models import hooks
from latent_ledger.models.hook_points import HookPoint


@dataclass(frozen=True)
class Reading:
    """One pass of the unsteered model over texts: perplexity [n], features for the judge [n, d]."""

    perplexity: np.ndarray
    features: np.ndarray


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
        with hooks.hooked(model, {hook_point: adding(step)}):
            output = model(token, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        logits = output.logits[:, -1].float() / temperature
        logits[:, list(never)] = -torch.inf
        noise = np.stack([rng.gumbel(size=logits.shape[1]) for rng in streams])
        noise = torch.from_numpy(noise).to(logits)
        token = (logits.view(cells, n, -1) + noise).argmax(-1).view(cells * n, 1)
        written.append(token)
    return torch.cat(written, dim=1).view(cells, n, new_tokens).cpu().numpy()


def adding(vectors: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """An edit that adds `vectors` [rows, positions or 1, d] to a hook point's value."""

    def add(value: torch.Tensor) -> torch.Tensor:
        return value + vectors.to(value.dtype)

    return add


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

    def see(value: torch.Tensor) -> None:
        seen.append(value[:, len(prompt) :].double().mean(dim=1))

    with hooks.hooked(model, {hook_point: see}):
        logits = model(ids, use_cache=False).logits[:, len(prompt) - 1 : -1]
    losses = functional.cross_entropy(
        logits.float().flatten(0, 1), written.flatten(), reduction="none"
    )
    losses = losses.view(written.shape).double().mean(dim=1)
    return Reading(losses.exp().cpu().numpy(), seen[0].cpu().numpy())
