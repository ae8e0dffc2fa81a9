"""Edge weights: how much of a node's effect reaches it from each upstream node, and ablations.

*Attribution.* The weight of u -> d is the part of d's effect that u is responsible for::

    w(u -> d) = sum over positions of  g_d * mean over points of dd/du * (u_clean - u_corrupted)

g_d is the mean gradient of the metric at d (:func:`nodes.slope`), held fixed; the derivative dd/du
follows only the paths that pass no other coder: the sites in between keep their clean values (the
stop-gradient of Marks et al. 2024, arXiv 2403.19647, section 3.1). Between two coders on the
residual stream nothing passes a third one, so such edges join neighbours only. The derivative is
taken along the path from the corrupted to the clean value of u's site, as for nodes: on the clean
prompt alone, a latent that only the corrupted one switches on has derivative zero. A jump of the
active set itself has no derivative and stays unseen; the ablation sees it.

*Ablation.* u's contribution is set to its corrupted value, d is computed anew from that with the
sites in between pinned, and d's change alone (everything else at its site stays clean) is passed on
to the answer. w and the metric so lost have the same unit and sign: logits, and positive where the
edge helps the right answer.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from latent_ledger.evaluations.edges.network import Network, State, pin
from latent_ledger.evaluations.edges.task import Batch

Between = tuple[int, int]
"""(upstream site, downstream site)."""


def edge_weights(
    network: Network,
    batch: Batch,
    clean: State,
    corrupted: State,
    slopes: Sequence[Tensor],
    kept: Sequence[Sequence[int]],
    points: Sequence[float],
) -> dict[Between, Tensor]:
    """Weights [rows, upstream, downstream] between the `kept` nodes (numbers within their site).

    `slopes`: per site the mean gradient at its output hook [rows, position, d].
    """
    weights: dict[Between, Tensor] = {}
    for up in range(len(network.sites)):
        for down in range(up + 1, len(network.sites)):
            total = torch.zeros(len(batch), len(kept[up]), len(kept[down]))
            for point in points:
                total += _weights_at(
                    network, batch, clean, corrupted, slopes, kept, up, down, point
                )
            weights[up, down] = total / len(points)
    return weights


def _weights_at(
    network: Network,
    batch: Batch,
    clean: State,
    corrupted: State,
    slopes: Sequence[Tensor],
    kept: Sequence[Sequence[int]],
    up: int,
    down: int,
    point: float,
) -> Tensor:
    """The weights with the derivative taken at one point of the path, [rows, up, down]."""
    source = network.sites[up]
    low, high = corrupted.y[up], clean.y[up]
    value = (low + point * (high - low)).requires_grad_(True)
    between = {number: pin(clean.y[number]) for number in range(up + 1, down)}
    seen: dict[int, tuple[Tensor, Tensor]] = {}
    with torch.enable_grad():
        network.run(batch, {up: pin(value), **between}, seen=seen)
    x, y = seen[down]
    change = {
        node: clean.contribution(source, up, node) - corrupted.contribution(source, up, node)
        for node in kept[up]
    }
    weights = torch.zeros(len(batch), len(kept[up]), len(kept[down]))
    pulls = cotangents(network, down, x, slopes[down], kept[down])
    for column, (at_x, at_y) in enumerate(pulls):
        reached = [pair for pair in ((x, at_x), (y, at_y)) if pair[0].requires_grad]
        if not reached:
            break
        outputs, pulled = zip(*reached, strict=True)
        (gradient,) = torch.autograd.grad(
            outputs, value, pulled, retain_graph=True, allow_unused=True
        )
        if gradient is None:
            break
        for row, node in enumerate(kept[up]):
            weights[:, row, column] = (change[node] * gradient).sum((1, 2)).cpu()
    return weights


@torch.no_grad()
def cotangents(
    network: Network, number: int, x: Tensor, gradient: Tensor, kept: Sequence[int]
) -> list[tuple[Tensor, Tensor]]:
    """Per kept node the derivative of (gradient . node's contribution) by x and by y.

    A latent is ``x . encoder row`` where it is active and constant elsewhere; the error is y minus
    what the latents decode to.
    """
    site = network.sites[number]
    active = site.latents(x.detach()) > 0
    pull = (gradient @ site.decoder.mT) * active
    zero = torch.zeros_like(x)
    derivatives: list[tuple[Tensor, Tensor]] = []
    for node in kept:
        if node == site.width:
            derivatives.append((-(pull @ site.encoder), gradient))
        else:
            derivatives.append((pull[..., node, None] * site.encoder[node], zero))
    return derivatives


@torch.no_grad()
def ablate_edges(
    network: Network, batch: Batch, clean: State, corrupted: State, edges: Sequence[tuple[int, int]]
) -> Tensor:
    """m(clean) - m(edge ablated), [rows, edges], for (source, target) node pairs."""
    lost = torch.zeros(len(batch), len(edges))
    grouped: dict[tuple[int, int], list[int]] = {}
    for index, (source, target) in enumerate(edges):
        grouped.setdefault((source, network.place(target)[0]), []).append(index)
    for (source, down), members in grouped.items():
        up, node = network.place(source)
        site = network.sites[up]
        difference = clean.contribution(site, up, node) - corrupted.contribution(site, up, node)
        if not difference.any():
            continue
        seen: dict[int, tuple[Tensor, Tensor]] = {}
        between = {number: pin(clean.y[number]) for number in range(up + 1, down)}
        network.run(batch, {up: pin(clean.y[up] - difference), **between}, seen=seen)
        x, y = seen[down]
        target_site = network.sites[down]
        f = target_site.latents(x)
        anew = State({down: x}, {down: y}, {down: f}, {down: target_site.rest(f, y)}, clean.metric)
        for index in members:
            inside = network.place(edges[index][1])[1]
            old, new = (state.contribution(target_site, down, inside) for state in (clean, anew))
            if (new != old).any():
                metric = network.run(batch, {down: pin(clean.y[down] + new - old)})
                lost[:, index] = (clean.metric - metric).cpu()
    return lost


def by_pair(rows: Tensor) -> Tensor:
    """Means over the two directions of each pair: [2 n, ...] -> [n, ...]."""
    return rows.reshape(len(rows) // 2, 2, *rows.shape[1:]).mean(1)


def flat(
    network: Network, kept: Sequence[Sequence[int]], weights: Mapping[Between, Tensor]
) -> tuple[list[tuple[int, int]], Tensor]:
    """Edges as (source, target) node pairs, and their weights [rows, edges] in that order."""
    edges: list[tuple[int, int]] = []
    columns = []
    for (up, down), values in sorted(weights.items()):
        edges += [
            (network.offsets[up] + source, network.offsets[down] + target)
            for source in kept[up]
            for target in kept[down]
        ]
        columns.append(values.flatten(1))
    return edges, torch.cat(columns, 1)
