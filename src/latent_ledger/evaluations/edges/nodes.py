"""Node effects: the part of the metric that each latent and each error node carries.

    effect(u) = sum over positions of (u_clean - u_corrupted) * mean over steps of dm/du

with the gradient taken at `steps` midpoints between the corrupted and the clean value of u's whole
site (integrated gradients; Marks et al. 2024, arXiv 2403.19647, eq. 3, whose left sums the midpoint
replaces: same cost, smaller error). What a site writes is linear in its nodes, so the gradient with
respect to a latent is its decoder row times the gradient at the output hook, and all nodes of a
site cost `steps` backward passes together.

A positive effect supports the right answer. The effects at a site through which everything flows (a
coder on the residual stream) add up to m(clean) - m(corrupted), up to the integration error: the
completeness axiom.

Nodes are summed over positions: one node per latent and layer, one error node per layer.
"""

import torch
from torch import Tensor

from latent_ledger.evaluations.edges.network import Edit, Network, State, pin
from latent_ledger.evaluations.edges.task import Batch


def midpoints(steps: int) -> list[float]:
    """Midpoints of `steps` equal parts of the path from 0 (corrupted) to 1 (clean)."""
    return [(step + 0.5) / steps for step in range(steps)]


def slope(
    network: Network,
    batch: Batch,
    clean: State,
    corrupted: State,
    number: int,
    points: list[float],
    *,
    stop: bool = False,
) -> Tensor:
    """Mean gradient of the metric at a site's output hook over `points`, [rows, position, d].

    ``points=[1.0]`` is the plain gradient on the clean prompt. `stop`: later sites keep their clean
    values, so that only the paths that pass none of them count.
    """
    low, high = corrupted.y[number], clean.y[number]
    pinned: dict[int, Edit] = (
        {later: pin(clean.y[later]) for later in range(number + 1, len(network.sites))}
        if stop
        else {}
    )
    total = torch.zeros_like(high)
    for point in points:
        value = (low + point * (high - low)).requires_grad_(True)
        with torch.enable_grad():
            metric = network.run(batch, {number: pin(value), **pinned}).sum()
            if metric.requires_grad:  # a site behind which everything is pinned has no path left
                (gradient,) = torch.autograd.grad(metric, value, allow_unused=True)
                total += 0 if gradient is None else gradient
    return total / len(points)


def site_effects(
    network: Network, clean: State, corrupted: State, number: int, gradient: Tensor
) -> Tensor:
    """Effect of every node of a site, [rows, width + 1], for a mean gradient at its output hook."""
    return positions_effects(network, clean, corrupted, number, gradient).sum(1)


def positions_effects(
    network: Network, clean: State, corrupted: State, number: int, gradient: Tensor
) -> Tensor:
    """The same before the sum over positions, [rows, position, width + 1]."""
    site = network.sites[number]
    latents = (clean.f[number] - corrupted.f[number]) * (gradient @ site.decoder.mT)
    error = ((clean.rest[number] - corrupted.rest[number]) * gradient).sum(-1, keepdim=True)
    return torch.cat([latents, error], -1)


def differing(clean: State, corrupted: State, number: int) -> Tensor:
    """Mask of a site's nodes that differ between clean and corrupted prompts, bool [nodes]."""
    latents = (clean.f[number] != corrupted.f[number]).flatten(0, 1).any(0)
    error = (clean.rest[number] != corrupted.rest[number]).any().reshape(1)
    return torch.cat([latents, error])


@torch.no_grad()
def ablate_nodes(
    network: Network, batch: Batch, clean: State, corrupted: State, nodes: list[int]
) -> Tensor:
    """m(clean) - m(node set to its corrupted value at every position), [rows, nodes]."""
    lost = []
    for node in nodes:
        number, inside = network.place(node)
        site = network.sites[number]
        difference = clean.contribution(site, number, inside) - corrupted.contribution(
            site, number, inside
        )
        if not difference.any():
            lost.append(torch.zeros_like(clean.metric))
            continue
        lost.append(clean.metric - network.run(batch, {number: pin(clean.y[number] - difference)}))
    return torch.stack(lost, 1)
