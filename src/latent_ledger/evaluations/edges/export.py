"""JSON of the graph in the node/link form of circuit-tracer, for its viewer and Neuronpedia's.

The form is that of circuit-tracer's ``frontend/graph_models.py`` (github.com/safety-research/
circuit-tracer). It knows one kind of feature node ("cross layer transcoder") and one of error node
("mlp reconstruction error"): latents of every coder carry the first, errors the second.

Our nodes are sums over positions; ``ctx_idx`` is that of the largest |effect| in the prompt shown.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx

from latent_ledger.evaluations.edges import summary
from latent_ledger.evaluations.edges.measure import Attribution
from latent_ledger.evaluations.edges.network import Network, Step
from latent_ledger.evaluations.edges.task import Pair

ANSWER = "answer"


def cantor(layer: int, latent: int) -> int:
    """circuit-tracer's number of a feature: the Cantor pairing of layer and latent."""
    return (layer + latent) * (layer + latent + 1) // 2 + latent


def directed(attribution: Attribution, edges: Sequence[int], kept: Sequence[int]) -> nx.DiGraph:
    """The kept nodes, the selected edges (indices into `attribution.edges`), edges to the answer.

    Only nodes with a path to the answer remain. Node ids are those of the network.
    """
    weights = attribution.weights.mean(0)
    graph = nx.DiGraph()
    graph.add_node(ANSWER)
    for index in edges:
        graph.add_edge(*attribution.edges[index], weight=float(weights[index]))
    for node in kept:
        if attribution.direct[node] != 0:
            graph.add_edge(node, ANSWER, weight=float(attribution.direct[node]))
    reaching = nx.ancestors(graph, ANSWER) | {ANSWER}
    return graph.subgraph(reaching).copy()


def as_json(
    graph: nx.DiGraph,
    network: Network,
    attribution: Attribution,
    step: Step,
    pair: Pair,
    tokenizer: Any,
    labels: Mapping[int, str],
    group: str,
) -> dict[str, Any]:
    """circuit-tracer's JSON of `graph`, beside the first prompt of `pair` (row 0 of `step`).

    `labels`: by node; `group`: name of the graph.
    """
    positions = summary.positions(network, step, attribution)
    tokens = [tokenizer.decode([token]) for token in pair.prompts[0]]
    answer, probability = pair.answer_ids[0], summary.answer_probability(network, step, pair)
    last, answer_layer = len(tokens) - 1, network.sites[-1].layer + 2
    names: dict[int | str, str] = {ANSWER: f"{answer_layer}_{answer}_{last}"}
    nodes = []
    members = sorted(node for node in graph if node != ANSWER)
    largest = max((abs(attribution.effects[node]) for node in members), default=0.0)
    for node in members:
        site, inside = network.place(node)
        layer, latent, position = site.layer, site.latent(inside), positions[node]
        error = latent < 0
        names[node] = f"{layer}_{latent}_{position}"
        nodes.append(
            {
                "node_id": names[node],
                "jsNodeId": f"{layer}_{latent}-{position if error else 0}",
                "feature": -1 if error else cantor(layer, latent),
                "layer": str(layer),
                "ctx_idx": position,
                "reverse_ctx_idx": last - position,
                "run_idx": 0,
                "feature_type": "mlp reconstruction error" if error else "cross layer transcoder",
                "token_prob": 0.0,
                "is_target_logit": False,
                "clerp": labels[node],
                "coder": site.name,
                "effect": float(attribution.effects[node]),
                "influence": float(abs(attribution.effects[node]) / largest) if largest else 0.0,
            }
        )
    nodes.append(
        {
            "node_id": names[ANSWER],
            "jsNodeId": f"L_{answer}-{last}",
            "feature": answer,
            "layer": str(answer_layer),
            "ctx_idx": last,
            "reverse_ctx_idx": 0,
            "run_idx": 0,
            "feature_type": "logit",
            "token_prob": probability,
            "is_target_logit": True,
            "clerp": f'Output "{pair.answers[0]}" (p={probability:.3f})',
        }
    )
    links = [
        {"source": names[source], "target": names[target], "weight": weight}
        for source, target, weight in graph.edges(data="weight")
    ]
    links.sort(key=lambda link: (-abs(link["weight"]), link["source"], link["target"]))
    viewer = {"pinnedIds": [], "supernodes": [], "linkType": "both", "clickedId": "", "sg_pos": ""}
    return {
        "metadata": {
            "slug": f"edges-{group}",
            "scan": group,
            "transcoder_list": [site.name for site in network.sites],
            "prompt_tokens": tokens,
            "prompt": "".join(tokens[1:]),
            "node_threshold": None,
            "schema_version": 1,
        },
        "qParams": viewer,
        "nodes": nodes,
        "links": links,
    }
