"""A latent's windows as a lazy sequence that delphi's own samplers can draw from.

delphi makes an object of every window in which a latent fires, and keeps some forty of them. Its
samplers use only a length, slices, and single items. A sequence that makes an example on access
therefore gives the same draw, many times faster.
"""

from collections.abc import Sequence
from copy import copy
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


class Pool(Sequence[WindowExample]):
    """Every window in which one latent fires, strongest first; a slice is a pool of fewer.

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

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, key: Any) -> Any:
        windows, activations = self.windows[key], self.activations[key]
        if isinstance(key, slice):
            part = copy(self)
            part.windows, part.activations = windows, activations
            return part
        window = int(windows)
        return WindowExample(torch.from_numpy(self.tokens[window]), activations, window=window)


def silent_windows(pool: Pool, n: int, seed: int) -> np.ndarray:
    """Numbers of `n` windows without the latent, drawn by delphi: [n]; [0] if there are fewer."""
    silent = torch.ones(len(pool.tokens), dtype=torch.bool)
    silent[pool.windows] = False
    drawn = random_non_activating_windows(
        available_indices=silent.nonzero().flatten(),
        reshaped_tokens=torch.arange(len(pool.tokens))[:, None],
        n_not_active=n,
        tokenizer=SimpleNamespace(batch_decode=lambda ids: []),  # window numbers have no text
        seed=seed,
    )
    return np.array([int(example.tokens[0]) for example in drawn], np.int64)
