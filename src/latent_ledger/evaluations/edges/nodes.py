"""Node effects: the part of the metric that each latent and each error node carries.

    effect(u) = sum over positions of (u_clean - u_corrupted) * mean over steps of dm/du

with the gradient taken at `steps` midpoints between the corrupted and the clean value of u's whole
site (integrated gradients; Marks et al. 2024, arXiv 2403.19647, eq. 3, but midpoints for left sums:
smaller error). What a site writes is linear in its nodes, so the gradient by a latent is its
decoder row times that at the output hook, and a site costs `steps` backward passes.

A positive effect supports the right answer. At a site through which everything flows (a coder on
the residual stream) the effects add up to m(clean) - m(corrupted), up to the integration error.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from latent_ledger.evaluations.edges.network import Network, Site, Step, pin


def midpoints(steps: int) -> list[float]:
    """Midpoints of `steps` equal parts of the path from 0 (corrupted) to 1 (clean)."""
    return [(step + 0.5) / steps for step in range(steps)]


def slope(
    network: Network, step: Step, site: Site, points: Sequence[float], *, stop: bool = False
) -> Tensor:
    """Mean gradient of the metric at a site's output hook over `points`, [rows, position, d].

    ``points=[1.0]`` is the plain gradient on the clean prompt. `stop`: later sites keep their clean
    values, so that only the paths that pass none of them count.
    """
    pinned = step.pins(site.number + 1, len(network.sites)) if stop else {}
    total = torch.zeros_like(step.clean[site.number].y)
    for point in points:
        value = step.between(site, point)
        with torch.enable_grad():
            metric = network.run(step.batch, {site.number: pin(value), **pinned}).sum()
            if metric.requires_grad:  # a site behind which everything is pinned has no path left
                total += torch.autograd.grad(metric, value, materialize_grads=True)[0]
    return total / len(points)


def node_effects(step: Step, site: Site, gradient: Tensor) -> Tensor:
    """Effects at a site, [rows, position, width + 1], for a mean gradient at its output hook."""
    clean, corrupted = step.clean[site.number], step.corrupted[site.number]
    latents = (clean.f - corrupted.f) * (gradient @ site.decoder.mT)
    error = ((clean.rest - corrupted.rest) * gradient).sum(-1, keepdim=True)
    return torch.cat([latents, error], -1)


@torch.no_grad()
def ablate_nodes(network: Network, step: Step, nodes: Sequence[int]) -> Tensor:
    """m(clean) - m(node set to its corrupted value at every position), [rows, nodes]."""
    lost = torch.zeros(len(step.batch), len(nodes))
    for column, node in enumerate(nodes):
        site, inside = network.place(node)
        change = step.change(site, inside)
        if change.any():
            value = step.clean[site.number].y - change
            metric = network.run(step.batch, {site.number: pin(value)})
            lost[:, column] = (step.metric - metric).cpu()
    return lost
