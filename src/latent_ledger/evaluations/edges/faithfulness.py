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

from latent_ledger.evaluations.edges.network import Edit, Network, Split, Step


@torch.no_grad()
def kept_metric(network: Network, step: Step, keep: np.ndarray) -> Tensor:
    """m(C) [rows] for the nodes where `keep` (bool, all nodes of the network) is set."""
    edits = {split.site.number: _keeping(keep[split.site.span], split) for split in step.corrupted}
    return network.run(step.batch, edits)


def _keeping(keep: np.ndarray, corrupted: Split) -> Edit:
    site, mask = corrupted.site, torch.from_numpy(keep[:-1]).to(corrupted.f.device)

    def edit(x: Tensor, y: Tensor) -> Tensor:
        f = site.latents(x)
        rest = site.rest(f, y) if keep[-1] else corrupted.rest
        return torch.where(mask, f, corrupted.f) @ site.decoder + rest

    return edit


def ladder(shares: Sequence[float], nodes: int) -> np.ndarray:
    """Circuit sizes for shares of `nodes`: ascending, without repeats, from 0 to all."""
    return np.unique([0, *(round(share * nodes) for share in shares), nodes])


def curve(
    network: Network, step: Step, order: np.ndarray, sizes: np.ndarray, *, complement: bool = False
) -> Tensor:
    """m of the first `size` nodes of `order` (or of all but those), [rows, sizes]."""
    values = []
    for size in sizes:
        keep = np.zeros(len(network), dtype=bool)
        keep[order[size:] if complement else order[:size]] = True
        values.append(kept_metric(network, step, keep))
    return torch.stack(values, 1)


def area(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Area under curves [..., sizes] over the share of nodes, between 0 and 1."""
    return trapezoid(values, sizes / sizes[-1], axis=-1)
