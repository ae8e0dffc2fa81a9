"""Hand-wired transformers whose graph is known, with the hook point interface of real ones.

A toy is a residual stream of :data:`WIDTH` channels, one byte per token. A block adds to every
position a map of its own value and one of the value before it, so that effects cross positions as
they do through attention; a nonlinear toy passes both through tanh. Channels are the features::

    token "A" at a position: u1 = u2 = 1          (token "B": neither)
    block 1: d1 += 2 u1, d2 += 3 u2 of the position before
    answer:  logit("a") - logit("b") = 1.5 d1 - 1.5      d2 has no effect unless it is given one

The coders are identities on the first :data:`FEATURES` channels; what lies beyond is their error.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from latent_ledger.coders.formats.sparsify.loader import SparsifyCoder
from latent_ledger.models.hook_points import CoderSite
from tests.tiny_models import VOCABULARY, byte_tokenizer

WIDTH, FEATURES = 6, 5
U1, U2, D1, D2 = range(4)
HIDDEN = 5
"""A channel that no coder knows: it can only be seen in the errors."""

TASK = {
    "contexts": ["x", "y", "z", "w"],
    "subjects": [["A", "B"]],
    "links": ["p"],
    "answers": [["a", "b"]],
}


class Block(nn.Module):
    """h + same(h) + before(h one position earlier), behind a tanh if `bends`."""

    def __init__(self, same: Tensor, before: Tensor, bends: bool) -> None:
        super().__init__()
        self.same, self.before, self.bends = same, before, bends
        self.mlp = nn.Identity()

    def forward(self, hidden: Tensor) -> Tensor:
        earlier = torch.cat([torch.zeros_like(hidden[:, :1]), hidden[:, :-1]], 1)
        added = hidden @ self.same + earlier @ self.before
        return hidden + (torch.tanh(added) if self.bends else added)


class Base(nn.Module):
    """Embedding and blocks."""

    def __init__(self, embedding: Tensor, blocks: list[Block]) -> None:
        super().__init__()
        self.embedding, self.layers = embedding, nn.ModuleList(blocks)

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.embedding[ids]
        for block in self.layers:
            hidden = block(hidden)
        return hidden


@dataclass
class ToyConfig:
    """What the hook point layout asks a model for."""

    model_type: str = "toy"


class Toy(nn.Module):
    """A causal language model as the network calls it."""

    base_model_prefix = "base"

    def __init__(self, embedding: Tensor, blocks: list[Block], unembedding: Tensor, bias: Tensor):
        super().__init__()
        self.config = ToyConfig()
        self.base = Base(embedding, blocks)
        self.unembedding, self.bias = unembedding, bias

    def forward(self, ids: Tensor, use_cache: bool, logits_to_keep: int | Tensor):
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.base(ids)[:, keep] @ self.unembedding + self.bias
        return SimpleNamespace(logits=logits)


def token(text: str) -> int:
    """The id of a one-byte token."""
    return byte_tokenizer()(text, add_special_tokens=False)["input_ids"][0]


def planted(
    *,
    answer: float = 1.5,
    second: float = 0.0,
    hidden: float = 0.0,
    forks: bool = False,
    bends: bool = False,
) -> Toy:
    """The toy of the module's docstring, of two blocks.

    Logits per unit of d1 (`answer`), of d2 (`second`), and of a channel that token "A" sets, that
    block 1 carries on and that no coder knows (`hidden`). `forks`: it is u1 that drives d2, not u2.
    """
    embedding = torch.zeros(VOCABULARY, WIDTH)
    embedding[token("A"), [U1, U2, HIDDEN]] = 1.0
    before = torch.zeros(WIDTH, WIDTH)
    before[U1, D1], before[U1 if forks else U2, D2], before[HIDDEN, HIDDEN] = 2.0, 3.0, 1.0
    nothing = torch.zeros(WIDTH, WIDTH)
    blocks = [Block(nothing, nothing, bends), Block(nothing, before, bends)]
    unembedding, bias = torch.zeros(WIDTH, VOCABULARY), torch.zeros(VOCABULARY)
    unembedding[[D1, D2, HIDDEN], token("a")] = torch.tensor([answer, second, hidden])
    bias[token("b")] = (2 * answer + 3 * second + hidden) / 2
    return Toy(embedding, blocks, unembedding, bias)


def identity_coder(layer: int) -> SparsifyCoder:
    """An SAE on the block's output whose latent i is channel i, for the first FEATURES channels."""
    weights = {
        "encoder.weight": torch.eye(FEATURES, WIDTH),
        "encoder.bias": torch.zeros(FEATURES),
        "W_dec": torch.eye(FEATURES, WIDTH),
        "b_dec": torch.zeros(WIDTH),
    }
    return SparsifyCoder({"k": FEATURES}, weights, CoderSite.at(layer, "resid_post"))


def coders() -> dict[str, SparsifyCoder]:
    """One identity coder behind each of the two blocks."""
    return {f"sae-{layer}": identity_coder(layer) for layer in (0, 1)}


def settings(**changes) -> dict:
    """Settings of an evaluation of a toy."""
    return {
        "group": "toy",
        "task": TASK,
        "pairs": 4,
        "batch": 4,
        "steps": 4,
        "edge_steps": 2,
        "top_nodes": 4,
        "top_edges": 4,
        "random_edges": 4,
        "sizes": [0.2, 0.5],
        "draws": 3,
        "resamples": 200,
        "seed": 0,
    } | changes
