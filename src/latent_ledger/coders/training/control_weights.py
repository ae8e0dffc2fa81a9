"""Weights of a coder that training changes: all of them, or fewer, in a control.

    trained              W_enc, W_dec, the biases, and a skip-transcoder's W_skip
    frozen-decoder       all but W_dec, which stays as drawn to the bit
    soft-frozen-decoder  all, but every row of W_dec keeps a cosine of 0.8 or more with itself as
                         drawn
    random               the biases alone: latents are random directions, in and out, and a
                         skip-transcoder has no skip

The middle two are the sanity checks of Korznikov et al. (2026), arXiv 2602.14111: they measure how
much of a coder's score needs learnt decoder directions. The last does so for the encoder as well.

sparsify draws an SAE's decoder (its encoder, rows of unit norm) but starts a transcoder's at zero,
which has no directions to keep: the controls of a transcoder draw theirs, uniform and of unit norm.

A row that leaves its cone is turned back to the nearest direction inside, and keeps its norm, after
the optimiser's step and before Schedule-Free averages it: such a cone is convex, so averages of
rows inside it lie inside.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from sparsify import SparseCoder
from torch import Tensor

from latent_ledger.coders.training.architectures.entry import Architecture

LEARNT = {
    "trained": ("encoder", "decoder", "biases", "skip"),
    "frozen-decoder": ("encoder", "biases", "skip"),
    "soft-frozen-decoder": ("encoder", "decoder", "biases", "skip"),
    "random": ("biases",),
}
"""Setting ``weights`` -> which of an architecture's
:class:`~latent_ledger.coders.training.architectures.entry.Parameters` learn."""

COSINE = 0.8
"""Least cosine of a soft-frozen decoder's row with the row as drawn."""
MARGIN = 1e-7
"""Turned rows stop this far inside the cone: rounding must not push them out again."""


class Decoder:
    """The decoder of a coder in training, held by the setting `weights`.

    Made right after the coder, whose random draw it may continue, so that a run that goes on from a
    checkpoint finds the same first directions again.
    """

    def __init__(self, coder: SparseCoder, architecture: Architecture, weights: str) -> None:
        self.coder, self.soft = coder, weights == "soft-frozen-decoder"
        if weights != "trained" and not architecture.draws_decoder:
            torch.nn.init.normal_(coder.W_dec)
            coder.set_decoder_norm_to_unit_norm()
        learnt = architecture.parameters.with_roles(LEARNT[weights])
        for name, parameter in coder.named_parameters():
            parameter.requires_grad_(name in learnt)
        self.drawn = None if weights == "trained" else coder.W_dec.detach().clone()

    def bind(self, optimizers: Iterable[Any]) -> None:
        """Keep a soft-frozen decoder within its bound after every step of `optimizers`."""
        if self.soft:
            for optimizer in optimizers:  # Schedule-Free wraps the one that steps
                inner = getattr(optimizer, "base", optimizer)
                inner.register_step_post_hook(lambda *_: self.turn_back())

    @torch.no_grad()
    def turn_back(self) -> None:
        """Turn the rows of a soft-frozen decoder that left their cones back into them."""
        if self.soft and self.drawn is not None:
            self.coder.W_dec.copy_(within_cosine(self.coder.W_dec, self.drawn, COSINE))

    def cosines(self) -> Tensor | None:
        """Each row's cosine with itself as drawn [width]; None where nothing was held."""
        if self.drawn is None:
            return None
        now = self.coder.W_dec.detach().double()
        return torch.cosine_similarity(now, self.drawn.double(), dim=1)


def within_cosine(rows: Tensor, centres: Tensor, least: float) -> Tensor:
    """Rows [n, d] turned, at their norms, to a cosine of at least `least` with `centres` [n, d].

    The turn is the shortest one: in the plane of row and centre, onto the cone's edge. Rows inside
    come back to the bit, and so do rows of zeros, which point nowhere. Computed in float64.
    """
    wide, axis = rows.double(), torch.nn.functional.normalize(centres.double(), dim=1)
    norm = wide.norm(dim=1, keepdim=True)
    along = (wide * axis).sum(1, keepdim=True)
    across = wide - along * axis
    aside = torch.nn.functional.normalize(across, dim=1)  # zero where row and centre are parallel
    edge = least + MARGIN
    turned = norm * torch.where(
        aside.any(1, keepdim=True), edge * axis + math.sqrt(1 - edge**2) * aside, axis
    )
    return torch.where(along < least * norm, turned.to(rows.dtype), rows)
