"""Faithfulness and completeness of a set of nodes, over its size.

m(C) is the metric on the clean prompt while every node outside C holds its corrupted value, at all
positions; nodes in C are computed anew from their inputs in that pass. With M all nodes::

    faithfulness(C) = (m(C) - m(empty)) / (m(M) - m(empty))
    completeness(C) = 1 - faithfulness(M without C)

both 1 for all nodes and 0 for none (Marks et al. 2024, arXiv 2403.19647, section 3.2, who plot the
complement's faithfulness). Over the share k of nodes kept, best first (MIB, arXiv 2504.13151)::

    CPR = integral of faithfulness dk          (higher is better)
    CMD = integral of |1 - faithfulness| dk    (lower is better)

by the trapezoid rule. The nodes counted are those whose value differs between some clean prompt and
its corrupted one: any other node changes nothing and would only dilute the random baseline.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.integrate import trapezoid
from torch import Tensor

from latent_ledger.evaluations.edges.network import Edit, Network, State
from latent_ledger.evaluations.edges.task import Batch


@torch.no_grad()
def kept_metric(network: Network, batch: Batch, corrupted: State, keep: np.ndarray) -> Tensor:
    """m(C) [rows] for the nodes where `keep` (bool, all nodes of the network) is set."""

    def edit_for(number: int) -> Edit:
        site = network.sites[number]
        mask = torch.from_numpy(keep[network.offsets[number] : network.offsets[number + 1]])
        latents = mask[:-1].to(corrupted.metric.device)

        def edit(x: Tensor, y: Tensor) -> Tensor:
            f = site.latents(x)
            rest = site.rest(f, y) if mask[-1] else corrupted.rest[number]
            return torch.where(latents, f, corrupted.f[number]) @ site.decoder + rest

        return edit

    return network.run(batch, {number: edit_for(number) for number in range(len(network.sites))})


def ladder(shares: Sequence[float], nodes: int) -> np.ndarray:
    """Circuit sizes for shares of `nodes`: ascending, without repeats, from 0 to all."""
    sizes = {round(share * nodes) for share in shares} | {0, nodes}
    return np.array(sorted(sizes))


def curve(
    network: Network,
    batch: Batch,
    corrupted: State,
    order: np.ndarray,
    sizes: np.ndarray,
    *,
    complement: bool = False,
) -> np.ndarray:
    """m of the first `size` nodes of `order` (or of all but those), [rows, sizes]."""
    values = []
    for size in sizes:
        keep = np.zeros(len(network), dtype=bool)
        keep[order[size:] if complement else order[:size]] = True
        values.append(kept_metric(network, batch, corrupted, keep).cpu().double().numpy())
    return np.stack(values, 1)


def area(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Area under curves [..., sizes] over the share of nodes, between 0 and 1."""
    return trapezoid(values, sizes / sizes[-1], axis=-1)
