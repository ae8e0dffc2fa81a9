"""Evaluation of one group of coders: from a model folder to metrics, tables and the graph."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from latent_ledger.coders.sparse_coder import SparseCoder, load_coder
from latent_ledger.evaluations.edges import edge_metrics, export, measure, metrics, summary
from latent_ledger.evaluations.edges.network import Network
from latent_ledger.evaluations.edges.task import HALVES, batches, make_pairs
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import write_json
from latent_ledger.models import language_model
from latent_ledger.models.device import best_device
from latent_ledger.statistics.records import Records
from latent_ledger.text.tokenizer import load_tokenizer
from latent_ledger.text.tokens import special_ids


def produce(
    settings: Mapping[str, Any], model: Path, coders: Mapping[str, Path], out: Path
) -> dict[str, Any]:
    """Trace one group of coders; write metrics, tables and ``graph.json`` into `out`.

    `coders`: folders by coder name, one per layer; `settings`: see :func:`evaluate`.
    """
    device = best_device()
    network = language_model.load_model(model, device=device)
    loaded = {name: load_coder(folder, device) for name, folder in coders.items()}
    return evaluate(settings, network, load_tokenizer(model), loaded, out)


def evaluate(
    settings: Mapping[str, Any],
    model: nn.Module,
    tokenizer: Any,
    coders: Mapping[str, SparseCoder],
    out: Path,
) -> dict[str, Any]:
    """The same for a loaded model, whose parameters must not require gradients.

    `settings`: group (a name), task (contexts, subjects, links, answers), pairs, batch (prompts per
    pass), steps, edge_steps, top_nodes (per layer), top_edges, random_edges, sizes (shares), draws,
    resamples, seed. Tables: ``task`` (all pairs), ``pairs``, ``edge_pairs`` (evaluation pairs),
    ``nodes``, ``edges``, ``edge_signs`` and ``curves``. Returns the facts.
    """
    network = Network(model, coders)
    check_layers(network)
    pairs, dropped = make_pairs(settings["task"], tokenizer, settings["pairs"], settings["seed"])
    device, pad = network.sites[0].decoder.device, special_ids(tokenizer)[2]
    steps = {
        half: list(map(network.step, batches(pairs[half], settings["batch"], pad, device)))
        for half in HALVES
    }
    attribution = measure.attribute(network, steps["attribution"], settings)
    kept = [site.low + node for site in network.sites for node in attribution.kept[site.number]]
    sizes = settings["top_edges"], settings["random_edges"]
    selected = measure.select_edges(attribution.weights.mean(0), *sizes, settings["seed"])
    edges = [attribution.edges[index] for indices in selected for index in indices]
    by_node, by_edge, size = measure.ablate(network, steps["evaluation"], kept, edges)
    universe = measure.differing(network, [*steps["attribution"], *steps["evaluation"]])
    curves = measure.curves(network, steps["evaluation"], attribution.effects, universe, settings)

    labels = summary.node_labels(network, steps["attribution"], tokenizer, kept)
    records = Records(out, resamples=settings["resamples"], seed=settings["seed"])
    clean = {
        half: torch.cat([step.metric for step in half_steps]).double().cpu().numpy().reshape(-1, 2)
        for half, half_steps in steps.items()
    }
    metrics.record_task(records, clean, pairs)
    edge_metrics.record_edges(records, attribution, selected, by_edge, size, labels)
    edge_metrics.record_nodes(records, network, attribution, kept, by_node, labels)
    metrics.record_curves(records, clean["evaluation"].mean(1), curves)
    graph = export.as_json(
        export.directed(attribution, selected[0].tolist(), kept),
        network,
        attribution,
        steps["attribution"][0],
        pairs["attribution"][0],
        tokenizer,
        labels,
        settings["group"],
    )
    write_json(out / "graph.json", graph)
    facts = {
        "group": settings["group"],
        "coders": list(coders),
        "pairs": {half: len(pairs[half]) for half in HALVES},
        "dropped": dropped,
        "nodes": int(universe.sum()),
        "kept_nodes": len(kept),
        "edges": int(np.count_nonzero(attribution.weights.mean(0))),
        "measured_edges": {"top": len(selected[0]), "random": len(selected[1])},
        "error_share": edge_metrics.error_shares(network, attribution.effects),
        "undefined": sorted(metrics.OPTIONAL - set(records.metrics)),
    }
    records.write(facts)
    return facts


def check_layers(network: Network) -> None:
    """Raise :class:`LedgerError` unless there are two coders or more, one per layer."""
    layers = [site.layer for site in network.sites]
    if len(layers) < 2 or len(set(layers)) < len(layers):
        raise LedgerError(
            f"A group of edges needs coders of two layers or more, one per layer, not of "
            f"{', '.join(map(str, layers))}: change evaluations.edges.groups."
        )
