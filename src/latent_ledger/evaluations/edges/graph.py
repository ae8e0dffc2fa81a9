"""Edge weights: how much of a node's effect reaches it from each upstream node, and ablations.

*Attribution.* The weight of u -> d is the part of d's effect that u is responsible for::

    w(u -> d) = sum over positions of  g_d * mean over points of dd/du * (u_clean - u_corrupted)

g_d is the mean gradient of the metric at d (:func:`nodes.slope`), held fixed; dd/du follows only
the paths that pass no other coder: the sites in between keep their clean values (the stop-gradient
of Marks et al. 2024, arXiv 2403.19647, section 3.1). Nothing passes a coder on the residual stream,
so edges between such coders join neighbours only. The points lie between the corrupted and the
clean value of u's site: on the clean prompt alone, a latent that only the corrupted one switches on
has derivative zero. A jump of the active set has no derivative; only the ablation sees it.

*Ablation.* u's contribution is set to its corrupted value, d is computed anew from that with the
sites in between pinned, and d's change alone is passed on to the answer. w and the metric so lost
are in logits, and positive where the edge helps the right answer.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from latent_ledger.evaluations.edges.network import Network, Site, Step, pin


def edge_weights(
    network: Network,
    step: Step,
    slopes: Sequence[Tensor],
    kept: Sequence[Sequence[int]],
    points: Sequence[float],
) -> dict[tuple[int, int], Tensor]:
    """Weights [rows, upstream, downstream] by the numbers of two sites, between their `kept` nodes.

    `slopes`: per site the mean gradient at its output hook [rows, position, d]; `kept`: per site
    numbers within it; `points`: where on the path the derivative is taken.
    """
    weights = {}
    for up, down in combinations(network.sites, 2):
        changes = [step.change(up, node) for node in kept[up.number]]
        total = torch.zeros(len(step.batch), len(kept[up.number]), len(kept[down.number]))
        for point in points:
            value = step.between(up, point)
            with torch.enable_grad():
                seen = network.reach(step, up, value, down)
            if not any(side.requires_grad for side in seen):  # all paths pass a site in between
                break
            pulls = cotangents(down, seen[0], slopes[down.number], kept[down.number])
            for column, pull in enumerate(pulls):
                reached = [pair for pair in zip(seen, pull, strict=True) if pair[0].requires_grad]
                outputs, pulled = zip(*reached, strict=True)
                (gradient,) = torch.autograd.grad(
                    outputs, value, pulled, retain_graph=True, materialize_grads=True
                )
                for row, change in enumerate(changes):
                    total[:, row, column] += (change * gradient).sum((1, 2)).cpu()
        weights[up.number, down.number] = total / len(points)
    return weights


@torch.no_grad()
def cotangents(
    site: Site, x: Tensor, gradient: Tensor, kept: Sequence[int]
) -> list[tuple[Tensor, Tensor]]:
    """Per kept node the derivative of (gradient . node's contribution) by x and by y.

    A latent is ``x . encoder row`` where it is active and constant elsewhere; the error is y minus
    what the latents decode to.
    """
    pull = (gradient @ site.decoder.mT) * (site.latents(x.detach()) > 0)
    zero = torch.zeros_like(x)
    return [
        (-(pull @ site.encoder), gradient)
        if node == site.width
        else (pull[..., node, None] * site.encoder[node], zero)
        for node in kept
    ]


@torch.no_grad()
def ablate_edges(network: Network, step: Step, edges: Sequence[tuple[int, int]]) -> Tensor:
    """m(clean) - m(edge ablated), [rows, edges], for (source, target) node pairs."""
    lost = torch.zeros(len(step.batch), len(edges))
    by_path: dict[tuple[int, Site], list[tuple[int, int]]] = defaultdict(list)
    for column, (source, target) in enumerate(edges):
        down, inside = network.place(target)
        by_path[source, down].append((column, inside))
    for (source, down), targets in by_path.items():
        up, node = network.place(source)
        change = step.change(up, node)
        if not change.any():
            continue
        clean = step.clean[down.number]
        anew = down.split(*network.reach(step, up, step.clean[up.number].y - change, down))
        for column, inside in targets:
            old, new = clean.contribution(inside), anew.contribution(inside)
            if (new != old).any():
                metric = network.run(step.batch, {down.number: pin(clean.y + new - old)})
                lost[:, column] = (step.metric - metric).cpu()
    return lost
