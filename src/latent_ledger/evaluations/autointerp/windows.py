"""A latent's windows as a lazy sequence that delphi's own samplers can draw from.

delphi makes an object of every window in which a latent fires, and keeps some forty of them. Its
samplers use only a length, slices, and single items. A sequence that makes an example on access
therefore gives the same draw, many times faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from latent_ledger.evaluations.autointerp.delphi_io import (
    ActivatingExample,
    pool_max_activation_windows,
    random_non_activating_windows,
)


@dataclass
class WindowExample(ActivatingExample):
    """delphi's example, and the number of its window in the token set."""

    window: int = -1


class Pool:
    """Every window in which one latent fires, strongest first.

    `rows` [fires] int64, ascending: its positions in the flat token set; `values`
    [fires] float32; `tokens` [windows, length]: the token set cut into windows.
    """

    def __init__(self, rows: np.ndarray, values: np.ndarray, tokens: np.ndarray) -> None:
        length = tokens.shape[1]
        self.tokens = tokens
        positions = torch.from_numpy(np.asarray(rows, np.int64))
        # delphi sorts the windows; given their numbers in place of tokens it returns them sorted.
        self.windows, self.activations = pool_max_activation_windows(
            activations=torch.from_numpy(np.asarray(values, np.float32)),
            tokens=torch.arange(len(tokens)),
            ctx_indices=positions // length,
            index_within_ctx=positions % length,
            ctx_len=length,
        )
        self._examples: dict[int, WindowExample] = {}

    def example(self, rank: int) -> WindowExample:
        """The window of this rank; every call returns the same object."""
        if rank not in self._examples:
            window = int(self.windows[rank])
            self._examples[rank] = WindowExample(
                torch.from_numpy(self.tokens[window]), self.activations[rank], window=window
            )
        return self._examples[rank]

    @property
    def examples(self) -> Windows:
        """All windows of the pool."""
        return Windows(self, range(len(self.windows)))

    def silent(self) -> torch.Tensor:
        """Numbers of the windows in which the latent never fires, ascending."""
        mask = torch.ones(len(self.tokens), dtype=torch.bool)
        mask[self.windows] = False
        return mask.nonzero().flatten()


class Windows(Sequence[WindowExample]):
    """Some of a pool's windows, by rank. A slice is a :class:`Windows` too."""

    def __init__(self, pool: Pool, ranks: range) -> None:
        self.pool, self.ranks = pool, ranks

    def __len__(self) -> int:
        return len(self.ranks)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return Windows(self.pool, self.ranks[key])
        return self.pool.example(self.ranks[key])


def silent_windows(pool: Pool, n: int, seed: int) -> np.ndarray:
    """Numbers of `n` windows without the latent, drawn by delphi: [n]; [0] if there are fewer."""
    drawn = random_non_activating_windows(
        available_indices=pool.silent(),
        reshaped_tokens=torch.arange(len(pool.tokens))[:, None],
        n_not_active=n,
        tokenizer=SimpleNamespace(batch_decode=lambda ids: []),  # window numbers have no text
        seed=seed,
    )
    return np.array([int(example.tokens[0]) for example in drawn], np.int64)
