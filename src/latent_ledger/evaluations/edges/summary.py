"""Labels of a graph's nodes; their positions and the answer in the prompt beside the graph."""

from collections.abc import Sequence
from typing import Any

import torch

from latent_ledger.evaluations.edges import nodes
from latent_ledger.evaluations.edges.measure import Attribution
from latent_ledger.evaluations.edges.network import Network, Site, Step
from latent_ledger.evaluations.edges.task import Pair


def node_labels(
    network: Network, steps: Sequence[Step], tokenizer: Any, kept: Sequence[int]
) -> dict[int, str]:
    """Layer, latent and token of each kept node, as text by node.

    The token is the one on which clean and corrupted values differ most in the prompts, from the
    side with the larger value.
    """
    labels = {}
    for node in kept:
        site, inside = network.place(node)
        if inside == site.width:
            labels[node] = f"layer {site.layer} error"
            continue
        _, token = max(_widest(step, site, inside) for step in steps)
        labels[node] = f"layer {site.layer} latent {inside} (on {tokenizer.decode([token])!r})"
    return labels


def _widest(step: Step, site: Site, latent: int) -> tuple[float, int]:
    """Largest difference of a latent in a batch, and the token where it is."""
    ids = torch.stack([step.batch.clean, step.batch.corrupted])
    splits = step.clean[site.number], step.corrupted[site.number]
    values = torch.stack([split.f[..., latent] for split in splits])
    real = torch.arange(ids.shape[-1], device=ids.device) <= step.batch.last[:, None]
    change = torch.where(real, (values[0] - values[1]).abs(), -1.0).flatten()
    at = int(change.argmax())
    side = int(values[:, *divmod(at, ids.shape[-1])].argmax())
    return float(change[at]), int(ids[side].flatten()[at])


def answer_probability(network: Network, step: Step, pair: Pair) -> float:
    """Probability of the right answer to the first prompt of `pair` (row 0 of `step`)."""
    with torch.inference_mode():
        ids = torch.tensor([pair.prompts[0]], device=step.batch.clean.device)
        logits = network.model(ids, use_cache=False, logits_to_keep=1).logits[0, -1]
    return float(logits.float().softmax(-1)[pair.answer_ids[0]])


def positions(network: Network, step: Step, attribution: Attribution) -> dict[int, int]:
    """Position of the largest |delta x gradient| of each kept node in the first row of `step`."""
    at: dict[int, int] = {}
    for site in network.sites:
        gradient = nodes.slope(network, step, site, [1.0])
        strongest = nodes.node_effects(step, site, gradient)[0].abs().argmax(0).tolist()
        at |= {site.low + node: strongest[node] for node in attribution.kept[site.number]}
    return at
