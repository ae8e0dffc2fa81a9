"""Units in which a coder is trained: the activations' own, or about one.

Signum moves every weight by the same step whatever the size of the activations. A re-randomised
model writes MLP outputs forty times smaller than a trained one does, so that its transcoder would
fail by the recipe and not by the model. A coder of such a model is therefore trained on activations
divided by their root mean square, and the units are folded back into its weights afterwards::

    W_enc *= output_hook / input_hook     b_enc *= output_hook
    W_skip *= output_hook / input_hook    b_dec *= output_hook

where ``input_hook`` and ``output_hook`` are the units of either side. This leaves the decoder as it
is. Units are powers of two, so that nothing is rounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from sparsify import SparseCoder
from torch import Tensor


@dataclass(frozen=True)
class Units:
    """One unit for the coder's input, one for its output (the same for an autoencoder)."""

    input_hook: float = 1.0
    output_hook: float = 1.0

    @classmethod
    def from_batch(cls, x: Tensor, y: Tensor) -> Units:
        """The powers of two nearest to the root mean squares, about the mean, of x, y [rows, d]."""
        return cls(*(2.0 ** round(math.log2(spread(side))) for side in (x, y)))

    def divide(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """A batch in these units."""
        return (x, y) if self == Units() else (x / self.input_hook, y / self.output_hook)

    @torch.no_grad()
    def fold(self, coder: SparseCoder) -> None:
        """Make a coder of divided activations one of the activations themselves."""
        coder.encoder.weight *= self.output_hook / self.input_hook
        coder.encoder.bias *= self.output_hook
        coder.b_dec *= self.output_hook
        if coder.W_skip is not None:
            coder.W_skip *= self.output_hook / self.input_hook


def spread(rows: Tensor) -> float:
    """Root mean square of rows [n, d] about their mean; 1 where they do not vary."""
    return float((rows - rows.mean(0)).double().pow(2).mean().sqrt()) or 1.0
