"""Measurement of one graph: attribution on one half of the pairs, ablations on the other.

    attribution half --> node effects --> top nodes of each layer --> edge weights, their intervals
    evaluation half  --> ablations of nodes and edges, faithfulness and completeness curves

Per-row values (one row per direction of a pair) are averaged over the two directions at once, so
that every array here counts pairs, the unit of all intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from latent_ledger.evaluations.edges import faithfulness, graph, nodes
from latent_ledger.evaluations.edges.network import Network, State
from latent_ledger.evaluations.edges.task import Batch
from latent_ledger.lib.progress import Progress


@dataclass(frozen=True)
class Step:
    """A batch with its clean and its corrupted pass."""

    batch: Batch
    clean: State
    corrupted: State


@dataclass(frozen=True)
class Attribution:
    """Effects and edges of the attribution half. Node arrays run over all nodes of the network.

    `effects` and `plain` [nodes]: mean effect by integrated gradients, and by the gradient on the
    clean prompt; `direct` [nodes]: the part that reaches the answer past no other coder; `kept`:
    per site the top nodes (numbers within the site), strongest first; `edges` with `weights`
    [pairs, edges] between them.
    """

    effects: np.ndarray
    plain: np.ndarray
    direct: np.ndarray
    kept: list[list[int]]
    edges: list[tuple[int, int]]
    weights: np.ndarray


@dataclass(frozen=True)
class Curves:
    """m of circuits of growing size on the evaluation half, [pairs, sizes] (random: with draws)."""

    sizes: np.ndarray
    kept: np.ndarray
    removed: np.ndarray
    random_kept: np.ndarray
    random_removed: np.ndarray


def run_batches(network: Network, batches: Sequence[Batch]) -> list[Step]:
    """Both passes of every batch."""
    return [
        Step(batch, network.state(batch), network.state(batch, corrupted=True)) for batch in batches
    ]


def differing(network: Network, steps: Sequence[Step]) -> np.ndarray:
    """Mask of nodes that differ between some clean and corrupted prompt of a pair, bool [nodes]."""
    mask = np.zeros(len(network), dtype=bool)
    for step in steps:
        sites = range(len(network.sites))
        mask |= (
            torch.cat([nodes.differing(step.clean, step.corrupted, s) for s in sites]).cpu().numpy()
        )
    return mask


def attribute(network: Network, steps: Sequence[Step], settings: Mapping[str, Any]) -> Attribution:
    """Node effects of all nodes, and edge weights between the top nodes of each site.

    `settings`: steps, top_nodes (per site), edge_steps.
    """
    sites, points = range(len(network.sites)), nodes.midpoints(settings["steps"])
    slopes: list[list[torch.Tensor]] = []
    sums = {name: np.zeros(len(network)) for name in ("effects", "plain", "direct")}
    with Progress("node effects", total=len(steps) * len(sites), unit="site") as progress:
        for step in steps:
            passes = (network, step.batch, step.clean, step.corrupted)
            slopes.append([])
            for number in sites:
                last = number == len(network.sites) - 1
                mean = nodes.slope(*passes, number, points)
                gradients = {
                    "effects": mean,
                    "plain": nodes.slope(*passes, number, [1.0]),
                    "direct": mean if last else nodes.slope(*passes, number, points, stop=True),
                }
                slopes[-1].append(mean)
                span = slice(network.offsets[number], network.offsets[number + 1])
                for name, gradient in gradients.items():
                    effects = nodes.site_effects(
                        network, step.clean, step.corrupted, number, gradient
                    )
                    sums[name][span] += effects.double().sum(0).cpu().numpy()
                progress.update(1)
    rows = sum(len(step.batch) for step in steps)
    means = {name: total / rows for name, total in sums.items()}
    kept = [
        strongest(means["effects"][low:high], settings["top_nodes"]) for low, high in network.spans
    ]
    weights: list[np.ndarray] = []
    edges: list[tuple[int, int]] = []
    edge_points = nodes.midpoints(settings["edge_steps"])
    with Progress("edge weights", total=len(steps), unit="batch") as progress:
        for step, step_slopes in zip(steps, slopes, strict=True):
            site_weights = graph.edge_weights(
                network, step.batch, step.clean, step.corrupted, step_slopes, kept, edge_points
            )
            edges, values = graph.flat(network, kept, site_weights)
            weights.append(graph.by_pair(values.double()).numpy())
            progress.update(1)
    return Attribution(**means, kept=kept, edges=edges, weights=np.concatenate(weights))


def strongest(effects: np.ndarray, count: int) -> list[int]:
    """The up to `count` largest |effects| that are not zero, largest first, ties by number."""
    order = np.lexsort((np.arange(len(effects)), -np.abs(effects)))
    return [int(node) for node in order[:count] if effects[node] != 0]


def select_edges(
    weights: np.ndarray, top: int, random: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the `top` edges by |weight| and of up to `random` others drawn from the rest.

    `weights` [edges] are means; edges of weight zero are in no graph and never drawn. At most half
    of the graph (of a single edge, that one) counts as top, so that there is a rest to draw from.
    """
    present = np.flatnonzero(weights)
    order = present[np.argsort(-np.abs(weights[present]), kind="stable")]
    top = min(top, (len(order) + 1) // 2)
    rest = np.random.default_rng(seed).permutation(order[top:])[:random]
    return order[:top], np.sort(rest)


def ablate(
    network: Network, steps: Sequence[Step], kept: Sequence[int], edges: Sequence[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Metric lost by ablating each node and each edge: [pairs, nodes], [pairs, edges], |edges|.

    The last is the mean over the two directions of the absolute loss.
    """
    by_node, by_edge, size = [], [], []
    with Progress("ablate", total=len(steps), unit="batch") as progress:
        for step in steps:
            passes = (network, step.batch, step.clean, step.corrupted)
            if kept:
                by_node.append(
                    graph.by_pair(nodes.ablate_nodes(*passes, list(kept)).cpu().double())
                )
            else:
                by_node.append(torch.zeros(len(step.batch) // 2, 0))
            lost = graph.ablate_edges(*passes, edges).double()
            by_edge.append(graph.by_pair(lost))
            size.append(graph.by_pair(lost.abs()))
            progress.update(1)
    return torch.cat(by_node).numpy(), torch.cat(by_edge).numpy(), torch.cat(size).numpy()


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
    order = counted[np.argsort(-np.abs(effects[counted]), kind="stable")]
    sizes = faithfulness.ladder(settings["sizes"], len(counted))
    rng = np.random.default_rng(settings["seed"])
    orders = [rng.permutation(counted) for _ in range(settings["draws"])]
    total = 2 * len(steps) * (1 + len(orders))
    with Progress("circuits", total=total, unit="curve") as progress:

        def all_rows(ranking: np.ndarray, complement: bool) -> np.ndarray:
            values = []
            for step in steps:
                rows = faithfulness.curve(
                    network, step.batch, step.corrupted, ranking, sizes, complement=complement
                )
                values.append(rows.reshape(-1, 2, len(sizes)).mean(1))
                progress.update(1)
            return np.concatenate(values)

        kept, removed = all_rows(order, False), all_rows(order, True)
        random_kept, random_removed = (
            np.stack([all_rows(ranking, complement) for ranking in orders])
            for complement in (False, True)
        )
    return Curves(sizes, kept, removed, random_kept, random_removed)
