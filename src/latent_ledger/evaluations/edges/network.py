"""Network of a model and its coders, whose latents and errors are the nodes.

At each coder's site the value that it writes is split into what its latents carry and the rest::

    y = f(x) W_dec + rest            x: what the coder reads, y: what stands at its output hook

An SAE reads what it writes (x = y); a transcoder reads the MLP's input. The rest is the *error
node*: reconstruction error, decoder bias and a skip connection. Without an edit, y stays as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from latent_ledger.coders.csr import to_dense
from latent_ledger.coders.sparse_coder import SparseCoder
from latent_ledger.evaluations.edges.task import Batch
from latent_ledger.models import hooks
from latent_ledger.models.hook_points import HookPoint

Edit = Callable[[Tensor, Tensor], Tensor]
"""``fn(x, y) -> y'``: what a site writes instead of y [rows, position, d]."""

Seen = dict[int, tuple[Tensor, Tensor]]
"""(x, y) of a pass by the number of the site."""


class Site:
    """One coder in the chain: its matrices and its nodes.

    Nodes of a site are numbered 0 .. width - 1 (latents) and `width` (the error). `number` is its
    place in the chain, and `low` the first of its nodes among those of the network.
    """

    def __init__(self, coder: SparseCoder, name: str, number: int, low: int) -> None:
        self.coder, self.name, self.number, self.low = coder, name, number, low
        self.width, self.layer = coder.width, coder.site.output_hook.layer
        self.span = slice(low, low + coder.width + 1)
        self.encoder, self.decoder = coder.encoder_rows(), coder.decoder_rows()

    @torch.no_grad()
    def latents(self, x: Tensor) -> Tensor:
        """Latents [rows, position, width] of what the coder reads [rows, position, d]."""
        dense = to_dense(self.coder.encode(x.flatten(0, -2).float()), self.width)
        return dense.unflatten(0, x.shape[:-1])

    def latent(self, node: int) -> int:
        """The latent that a node is, or -1 for the error."""
        return -1 if node == self.width else node

    def rest(self, f: Tensor, y: Tensor) -> Tensor:
        """What the latents do not carry, [rows, position, d]."""
        return y - f @ self.decoder

    def split(self, x: Tensor, y: Tensor) -> Split:
        """What the site writes, over its nodes."""
        f = self.latents(x)
        return Split(self, y, f, self.rest(f, y))


@dataclass(frozen=True)
class Split:
    """What a site writes in one pass: `y` as latents `f` and `rest`, [rows, position, ...] each."""

    site: Site
    y: Tensor
    f: Tensor
    rest: Tensor

    def contribution(self, node: int) -> Tensor:
        """What one node adds to y, [rows, position, d]."""
        if node == self.site.width:
            return self.rest
        return self.f[..., node, None] * self.site.decoder[node]


@dataclass(frozen=True)
class Step:
    """A batch with its clean and its corrupted pass, by site, and the clean `metric` [rows]."""

    batch: Batch
    clean: list[Split]
    corrupted: list[Split]
    metric: Tensor

    def change(self, site: Site, node: int) -> Tensor:
        """What a node adds in the clean pass minus that in the corrupted, [rows, position, d]."""
        clean, corrupted = self.clean[site.number], self.corrupted[site.number]
        return clean.contribution(node) - corrupted.contribution(node)

    def between(self, site: Site, point: float) -> Tensor:
        """A leaf for gradients on a site's path from the corrupted y (0) to the clean one (1)."""
        low, high = self.corrupted[site.number].y, self.clean[site.number].y
        return (low + point * (high - low)).requires_grad_(True)

    def pins(self, first: int, last: int) -> dict[int, Edit]:
        """Edits that keep the sites `first` to `last` - 1 at their clean values."""
        return {number: pin(self.clean[number].y) for number in range(first, last)}


class Network:
    """A causal language model with one coder per layer, in the order of the forward pass."""

    def __init__(self, model: nn.Module, coders: Mapping[str, SparseCoder]) -> None:
        self.model = model
        self.sites: list[Site] = []
        self._chain: dict[HookPoint, list[tuple[int, bool]]] = defaultdict(list)
        for name, coder in sorted(coders.items(), key=lambda item: _depth(item[1])):
            site = Site(coder, name, len(self.sites), len(self))
            self.sites.append(site)
            if not coder.site.autoencodes:
                self._chain[coder.site.input_hook].append((site.number, False))
            self._chain[coder.site.output_hook].append((site.number, True))

    def __len__(self) -> int:
        """Nodes of all sites."""
        return self.sites[-1].span.stop if self.sites else 0

    def place(self, node: int) -> tuple[Site, int]:
        """The site of a node, and its number there."""
        site = next(site for site in self.sites if node < site.span.stop)
        return site, node - site.low

    def run(
        self,
        batch: Batch,
        edits: Mapping[int, Edit] | None = None,
        *,
        corrupted: bool = False,
        seen: Seen | None = None,
    ) -> Tensor:
        """The metric [rows], logit(right) - logit(wrong), with sites passed through `edits`.

        `seen` gets every site's (x, y) before that site's edit.
        """
        held: dict[int, Tensor] = {}
        edits = edits or {}

        def edit_for(chain: Sequence[tuple[int, bool]]) -> hooks.Edit:
            def edit(value: Tensor) -> Tensor:
                for number, is_write in chain:
                    if not is_write:
                        held[number] = value
                        continue
                    x = held.pop(number, value)
                    if seen is not None:
                        seen[number] = (x, value)
                    if number in edits:
                        value = edits[number](x, value)
                return value

            return edit

        ids = batch.corrupted if corrupted else batch.clean
        ends, where = batch.last.unique(return_inverse=True)
        chained = {hook_point: edit_for(chain) for hook_point, chain in self._chain.items()}
        with hooks.hooked(self.model, chained):
            logits = self.model(ids, use_cache=False, logits_to_keep=ends).logits
        rows = torch.arange(len(batch), device=ids.device)
        answers = logits[rows, where].float()
        return answers[rows, batch.right] - answers[rows, batch.wrong]

    def reach(self, step: Step, source: Site, value: Tensor, target: Site) -> tuple[Tensor, Tensor]:
        """(x, y) at `target` when `source` writes `value` and sites in between are kept clean."""
        seen: Seen = {}
        between = step.pins(source.number + 1, target.number)
        self.run(step.batch, {source.number: pin(value), **between}, seen=seen)
        return seen[target.number]

    @torch.no_grad()
    def step(self, batch: Batch) -> Step:
        """Both passes over a batch."""
        seen: tuple[Seen, Seen] = ({}, {})
        metric = self.run(batch, seen=seen[0])
        self.run(batch, corrupted=True, seen=seen[1])
        clean, corrupted = ([site.split(*at[site.number]) for site in self.sites] for at in seen)
        return Step(batch, clean, corrupted, metric)


def pin(value: Tensor) -> Edit:
    """An edit that always writes `value`, so that paths through the site end there."""
    return lambda x, y: value


def _depth(coder: SparseCoder) -> tuple[int, int]:
    hook_point = coder.site.output_hook
    return hook_point.layer, hook_point.point.depth
