"""Splicing losses: how much the model loses when a coder's output replaces its target.

On the first `splice_contexts` contexts of a token set the model runs three times: as it is, with
the coder spliced in at its site, and with the target ablated (set to zero, or to its mean). Values
are replaced at every non-special position; the coder reads its input hook in the same pass.

A loss counts if the predicting position was replaced and the predicted token is no special one. It
belongs to the document of both tokens: an EOS stands between documents.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latent_ledger.coders.sparse_coder import SparseCoder
from latent_ledger.lib.errors import GateError
from latent_ledger.lib.progress import Progress
from latent_ledger.models import language_model, splice
from latent_ledger.models.device import best_device
from latent_ledger.models.shards import ActivationShards
from latent_ledger.statistics.records import Sums, add_rows

SPLICED_SUMS = ("spliced_tokens", "ce_clean", "ce_spliced", "ce_ablated", "kl")
"""Sums per document that come from running the model."""

LIVE_TOLERANCE = 0.02
"""Largest relative difference between live and stored inputs: rounding to bf16 gives 0.002."""


def splice_sums(
    settings: Mapping[str, Any],
    model: Path,
    arrays: Mapping[str, torch.Tensor],
    coder: SparseCoder,
    constant: np.ndarray,
    sources: ActivationShards,
    documents: int,
) -> tuple[Sums, float]:
    """Losses and KL per document, and the relative error of the live inputs on the first batch.

    `constant` [d] takes the target's place in the ablation.
    """
    device = best_device()
    network = language_model.load_model(model, device=device)
    n = min(settings["splice_contexts"], len(arrays["input_ids"]))
    sums = {name: np.zeros(documents) for name in SPLICED_SUMS}
    ablation = torch.from_numpy(constant).float().to(device)
    seen: list[torch.Tensor] = []

    def reconstruct(x: torch.Tensor) -> torch.Tensor:
        if not seen:
            seen.append(x.cpu())
        return coder.reconstruct(x)

    def ablate(x: torch.Tensor) -> torch.Tensor:
        return ablation.expand(len(x), -1)

    live_error = 0.0
    with torch.inference_mode(), Progress("splice", total=n, unit="context") as progress:
        for low in range(0, n, settings["batch"]):
            high = min(low + settings["batch"], n)
            ids, docs, lengths = (
                arrays[name][low:high] for name in ("input_ids", "doc_ids", "lengths")
            )
            ids, replaced = ids.to(device), docs.to(device) >= 0
            mask = (torch.arange(ids.shape[1], device=device) < lengths.to(device)[:, None]).long()
            forward = partial(splice.forward_with, network, ids.long(), mask, positions=replaced)
            clean = forward({})
            losses = {"ce_clean": splice.token_losses(clean, ids, replaced)}
            for name, replacement in (("spliced", reconstruct), ("ablated", ablate)):
                # One pass at a time: with a large vocabulary the logits fill the memory.
                logits = forward(splice.at_site(coder.site, replacement))
                losses[f"ce_{name}"] = splice.token_losses(logits, ids, replaced)
                if name == "spliced":
                    losses["kl"] = splice.kl(clean, logits)
            if low == 0:
                live_error = check_live(seen[0], sources, high)
            owner = np.full(ids.shape, -1)
            owner[:, :-1] = docs[:, 1:]
            owner[losses["ce_clean"].isnan().cpu().numpy()] = -1
            values = {name: loss.double().cpu().numpy().ravel() for name, loss in losses.items()}
            values["spliced_tokens"] = np.ones(owner.size)
            add_rows(sums, owner.ravel(), values)
            progress.update(high - low)
    return sums, live_error


def check_live(live: torch.Tensor, sources: ActivationShards, contexts: int) -> float:
    """Relative difference ||live - stored|| / ||stored|| of the coder's inputs.

    `live` [rows, d] are the non-special rows of the first `contexts` contexts in token order.
    Another index, model or site gives about 1. Raises :class:`GateError` above
    :data:`LIVE_TOLERANCE`.
    """
    side = sources.shard(0)
    last = int(np.searchsorted(side["contexts"].numpy(), contexts))
    stored = side["activations"][:last][side["doc_ids"][:last] >= 0].double()
    live = live[: len(stored)].double()  # a batch may reach into the second shard
    error = float((live - stored).norm() / stored.norm())
    if not error <= LIVE_TOLERANCE:
        raise GateError(
            f"splice parity: the model's own {sources.hook_point} differs from the stored "
            f"activations by {error:.2g} relative; they belong to another model, token set or site."
        )
    return error
