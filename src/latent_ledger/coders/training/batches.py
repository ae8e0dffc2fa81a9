"""Training batches from cached activations: whole contexts, special tokens left out, read ahead.

See :mod:`latent_ledger.coders.training.trainer` for what a batch is. BOS, EOS and padding are
dropped by id.
"""

import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latent_ledger.lib.errors import LedgerError
from latent_ledger.models.hook_points import CoderSite
from latent_ledger.models.shards import ActivationShards


class Shards(ActivationShards):
    """Shards mapped anew for every read, because a mapping keeps the pages it read resident."""

    KEPT_MAPPED = 0


class Batches:
    """Batches (x, y) for a coder at `site`, each [rows, d] fp32; y is x for an autoencoder.

    `folders` maps "input_hook" (and "output_hook", unless the coder autoencodes) to activation
    folders of one token set, of `n_rows` rows with special tokens. `full` counts the full batches,
    as sparsify's learning rate schedules do. Raises :class:`LedgerError` if the folders do not fit
    the site or each other.
    """

    def __init__(
        self,
        folders: Mapping[str, Path],
        site: CoderSite,
        *,
        batch_tokens: int,
        order_seed: int | None = None,
    ) -> None:
        sides = ("input_hook",) if site.autoencodes else ("input_hook", "output_hook")
        self.shards = [Shards(folders[side]) for side in sides]
        for needed, shards in zip(site.hook_points, self.shards, strict=True):
            if shards.hook_point != str(needed):
                held = f"{shards.folder} holds {shards.hook_point}"
                raise LedgerError(f"A coder at {site} needs {needed}; {held}.")
        first, last = self.shards[0], self.shards[-1]
        if first.meta["tokens"] != last.meta["tokens"] or len(first) != len(last):
            raise LedgerError(
                f"{first.hook_point} and {last.hook_point} are of different token sets: capture "
                "them together."
            )
        if first.d != last.d:
            raise LedgerError(
                f"{first.hook_point} is {first.d} wide and {last.hook_point} {last.d}: "
                "sparsify's coders need equal widths."
            )
        tokens = first.meta["tokens"]
        if batch_tokens % tokens["context"]:
            raise LedgerError(
                f"batch_tokens = {batch_tokens} must be a multiple of the token set's context, "
                f"{tokens['context']}: a step trains on whole contexts."
            )
        special = [tokens[name] for name in ("bos_id", "eos_id", "pad_id")]
        self.special = torch.tensor([i for i in special if i is not None], dtype=torch.int32)
        self.per_step = batch_tokens // tokens["context"]
        self.starts = first.context_starts()
        self.order = np.arange(len(self.starts) - 1)
        if order_seed is not None:
            np.random.default_rng(order_seed).shuffle(self.order)
        self.d, self.n_rows = first.d, len(first)
        self.full = len(self.order) // self.per_step

    def __len__(self) -> int:
        """Steps of one pass; the last one may be shorter, as in sparsify's loader."""
        return math.ceil(len(self.order) / self.per_step)

    def load(self, step: int) -> tuple[Tensor, Tensor]:
        """Read the batch of one step."""
        contexts = self.order[step * self.per_step : (step + 1) * self.per_step]
        breaks = np.flatnonzero(np.diff(contexts) != 1) + 1  # neighbours are read in one piece
        spans = [
            (int(self.starts[run[0]]), int(self.starts[run[-1] + 1]))
            for run in np.split(contexts, breaks)
        ]
        sides = []
        for shards in self.shards:
            parts = [shards.read(*span) for span in spans]
            ids = torch.cat([part["token_ids"] for part in parts])
            rows = torch.cat([part["activations"] for part in parts])
            sides.append(rows[torch.isin(ids, self.special, invert=True)].float())
        return sides[0], sides[-1]

    def stream(self, first: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches from step `first` on, each read while the one before is trained on."""
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self.load, first)
            for step in range(first, len(self)):
                x, y = ahead.result()
                if step + 1 < len(self):
                    ahead = reader.submit(self.load, step + 1)
                x_there = x.to(device)
                yield x_there, x_there if y is x else y.to(device)
