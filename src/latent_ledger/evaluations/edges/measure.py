"""Measurement of one graph: attribution on one half of the pairs, ablations on the other.

Arrays count pairs, the unit of all intervals: values are averaged over a pair's two directions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import torch

from latent_ledger.evaluations.edges import faithfulness, graph, nodes
from latent_ledger.evaluations.edges.network import Network, Step
from latent_ledger.lib.progress import Progress


@dataclass(frozen=True)
class Attribution:
    """Effects and edges of the attribution half. Node arrays run over all nodes of the network.

    `effects`, `plain`: mean effect by integrated gradients, and by the gradient on the clean
    prompt; `direct`: the part that reaches the answer past no other coder; `kept`: per site the top
    nodes (numbers within it), strongest first; `edges` with `weights` [pairs, edges] between them.
    """

    effects: np.ndarray
    plain: np.ndarray
    direct: np.ndarray
    kept: list[list[int]]
    edges: list[tuple[int, int]]
    weights: np.ndarray


@dataclass(frozen=True)
class Curves:
    """m of growing circuits, [1 + draws, pairs, sizes]: best nodes first, then random orders."""

    sizes: np.ndarray
    kept: np.ndarray
    removed: np.ndarray


def by_pair(rows: torch.Tensor) -> np.ndarray:
    """Means over the two directions of each pair: [2 n, ...] -> [n, ...]."""
    values = rows.cpu().double().numpy()
    return values.reshape(len(values) // 2, 2, *values.shape[1:]).mean(1)


def strongest(values: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
    """Indices of non-zero values (or `among` all), largest |value| first, ties by index."""
    among = np.flatnonzero(values) if among is None else among
    return among[np.argsort(-np.abs(values[among]), kind="stable")]


def differing(network: Network, steps: Sequence[Step]) -> np.ndarray:
    """Mask of nodes that differ between some clean and corrupted prompt of a pair, bool [nodes]."""
    mask = np.zeros(len(network), dtype=bool)
    for step in steps:
        for clean, corrupted in zip(step.clean, step.corrupted, strict=True):
            latents = (clean.f != corrupted.f).flatten(0, 1).any(0)
            error = (clean.rest != corrupted.rest).any().reshape(1)
            mask[clean.site.span] |= torch.cat([latents, error]).cpu().numpy()
    return mask


def attribute(network: Network, steps: Sequence[Step], settings: Mapping[str, Any]) -> Attribution:
    """Node effects of all nodes, and edge weights between the top nodes of each site.

    `settings`: steps, top_nodes (per site), edge_steps.
    """
    sites, points = network.sites, nodes.midpoints(settings["steps"])
    slopes: list[list[torch.Tensor]] = []
    sums = {name: np.zeros(len(network)) for name in ("effects", "plain", "direct")}
    with Progress("node effects", total=len(steps) * len(sites), unit="site") as progress:
        for step in steps:
            slopes.append([])
            for site in sites:
                mean = nodes.slope(network, step, site, points)
                last = site is sites[-1]
                gradients = {
                    "effects": mean,
                    "plain": nodes.slope(network, step, site, [1.0]),
                    "direct": mean if last else nodes.slope(network, step, site, points, stop=True),
                }
                slopes[-1].append(mean)
                for name, gradient in gradients.items():
                    effects = nodes.node_effects(step, site, gradient).sum(1)
                    sums[name][site.span] += effects.double().sum(0).cpu().numpy()
                progress.update(1)
    rows = sum(len(step.batch) for step in steps)
    means = {name: total / rows for name, total in sums.items()}
    top = settings["top_nodes"]
    kept = [strongest(means["effects"][site.span])[:top].tolist() for site in sites]
    edges = [
        (up.low + source, down.low + target)
        for up, down in combinations(sites, 2)
        for source in kept[up.number]
        for target in kept[down.number]
    ]
    weights = []
    edge_points = nodes.midpoints(settings["edge_steps"])
    with Progress("edge weights", total=len(steps), unit="batch") as progress:
        for step, step_slopes in zip(steps, slopes, strict=True):
            by_sites = graph.edge_weights(network, step, step_slopes, kept, edge_points)
            weights.append(by_pair(torch.cat([part.flatten(1) for part in by_sites.values()], 1)))
            progress.update(1)
    return Attribution(**means, kept=kept, edges=edges, weights=np.concatenate(weights))


def select_edges(
    weights: np.ndarray, top: int, random: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the `top` edges by |weight| and of up to `random` others drawn from the rest.

    Edges of weight zero are in no graph and never drawn. At most half of the graph (of a single
    edge, that one) counts as top, so that there is a rest to draw from.
    """
    order = strongest(weights)
    top = min(top, (len(order) + 1) // 2)
    rest = np.random.default_rng(seed).permutation(order[top:])[:random]
    return order[:top], np.sort(rest)


def ablate(
    network: Network, steps: Sequence[Step], kept: Sequence[int], edges: Sequence[tuple[int, int]]
) -> tuple[np.ndarray, ...]:
    """Metric lost by each node [pairs, nodes] and edge [pairs, edges], and |loss| by each edge."""
    losses = []
    with Progress("ablate", total=len(steps), unit="batch") as progress:
        for step in steps:
            by_node = by_pair(nodes.ablate_nodes(network, step, kept))
            by_node = by_node if kept else by_node.astype(np.float32)  # type of an empty column
            lost = graph.ablate_edges(network, step, edges)
            losses.append([by_node, by_pair(lost), by_pair(lost.abs())])
            progress.update(1)
    return tuple(np.concatenate(parts) for parts in zip(*losses, strict=True))


def curves(
    network: Network,
    steps: Sequence[Step],
    effects: np.ndarray,
    universe: np.ndarray,
    settings: Mapping[str, Any],
) -> Curves:
    """Faithfulness and completeness over size, best nodes first and in random orders.

    `universe` bool [nodes] are the nodes that count. `settings`: sizes (shares), draws, seed.
    """
    counted = np.flatnonzero(universe)
    sizes = faithfulness.ladder(settings["sizes"], len(counted))
    rng = np.random.default_rng(settings["seed"])
    orders = [strongest(effects, counted)]
    orders += [rng.permutation(counted) for _ in range(settings["draws"])]
    values = []
    with Progress("circuits", total=2 * len(orders) * len(steps), unit="curve") as progress:
        for complement, order, step in product((False, True), orders, steps):
            rows = faithfulness.curve(network, step, order, sizes, complement=complement)
            values.append(by_pair(rows))
            progress.update(1)
    kept, removed = np.concatenate(values).reshape(2, len(orders), -1, len(sizes))
    return Curves(sizes, kept, removed)
