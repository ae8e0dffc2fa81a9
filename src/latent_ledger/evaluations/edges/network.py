"""Network of a model and its coders, whose latents and errors are the nodes.

At each coder's site the value that it writes is split into what its latents carry and the rest::

    y = f(x) W_dec + rest            x: what the coder reads, y: what stands at its output hook

An SAE reads what it writes (x = y); a transcoder reads the MLP's input. The rest is the *error
node*: reconstruction error, decoder bias and a skip connection. Both parts together are exactly y,
so a run in which no node is edited is the model itself to the last bit but rounding.
"""

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


class Site:
    """One coder in the chain: its matrices and its nodes.

    Nodes of a site are numbered 0 .. width - 1 (latents) and `width` (the error).
    """

    def __init__(self, coder: SparseCoder, name: str = "") -> None:
        self.coder, self.name, self.width = coder, name, coder.width
        self.input_hook, self.output_hook = coder.site.input_hook, coder.site.output_hook
        self.encoder, self.decoder = coder.encoder_rows(), coder.decoder_rows()

    @property
    def size(self) -> int:
        """Number of nodes."""
        return self.width + 1

    @torch.no_grad()
    def latents(self, x: Tensor) -> Tensor:
        """Latents [rows, position, width] of what the coder reads [rows, position, d]."""
        rows = x.reshape(-1, x.shape[-1])
        dense = to_dense(self.coder.encode(rows.float()), self.width)
        return dense.reshape(*x.shape[:-1], self.width)

    def rest(self, f: Tensor, y: Tensor) -> Tensor:
        """What the latents do not carry, [rows, position, d]."""
        return y - f @ self.decoder


Values = Sequence[Tensor] | Mapping[int, Tensor]
"""A tensor by the number of its site: of every site, or of some."""


@dataclass(frozen=True)
class State:
    """One prompt's pass: by site what is read, written, the latents and the rest."""

    x: Values
    y: Values
    f: Values
    rest: Values
    metric: Tensor

    def contribution(self, site: Site, number: int, node: int) -> Tensor:
        """What one node adds to its site's output, [rows, position, d]."""
        if node == site.width:
            return self.rest[number]
        return self.f[number][..., node, None] * site.decoder[node]


class Network:
    """A causal language model with one coder per layer, in the order of the forward pass."""

    def __init__(self, model: nn.Module, coders: Mapping[str, SparseCoder]) -> None:
        self.model = model
        sites = [Site(coder, name) for name, coder in coders.items()]
        self.sites = sorted(sites, key=lambda site: _order(site.output_hook))
        self.offsets = [0]
        for site in self.sites:
            self.offsets.append(self.offsets[-1] + site.size)
        self._chain: dict[HookPoint, list[tuple[int, bool]]] = defaultdict(list)
        for number, site in enumerate(self.sites):
            if site.input_hook != site.output_hook:
                self._chain[site.input_hook].append((number, False))
            self._chain[site.output_hook].append((number, True))

    def __len__(self) -> int:
        """Nodes of all sites."""
        return self.offsets[-1]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """First and last + 1 node of each site."""
        return list(zip(self.offsets, self.offsets[1:], strict=False))

    def place(self, node: int) -> tuple[int, int]:
        """(site, number within the site) of a node."""
        number = next(i for i, low in enumerate(self.offsets[1:]) if node < low)
        return number, node - self.offsets[number]

    def run(
        self,
        batch: Batch,
        edits: Mapping[int, Edit] | None = None,
        *,
        corrupted: bool = False,
        seen: dict[int, tuple[Tensor, Tensor]] | None = None,
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
        with hooks.hooked(
            self.model, {hook_point: edit_for(chain) for hook_point, chain in self._chain.items()}
        ):
            logits = self.model(ids, use_cache=False, logits_to_keep=ends).logits
        rows = torch.arange(len(batch), device=ids.device)
        answers = logits[rows, where].float()
        return answers[rows, batch.right] - answers[rows, batch.wrong]

    @torch.no_grad()
    def state(self, batch: Batch, *, corrupted: bool = False) -> State:
        """The pass over the clean prompts, or over the corrupted ones with the clean metric."""
        seen: dict[int, tuple[Tensor, Tensor]] = {}
        metric = self.run(batch, corrupted=corrupted, seen=seen)
        x, y = ([seen[number][side] for number in range(len(self.sites))] for side in (0, 1))
        f = [site.latents(value) for site, value in zip(self.sites, x, strict=True)]
        rest = [site.rest(*values) for site, *values in zip(self.sites, f, y, strict=True)]
        return State(x, y, f, rest, metric)


def pin(value: Tensor) -> Edit:
    """An edit that always writes `value`, so that paths through the site end there."""
    return lambda x, y: value


def _order(hook_point: HookPoint) -> tuple[int, int]:
    return hook_point.layer, hook_point.point.depth
