"""Metrics and tables of a graph's nodes and edges, and of the ablations that test them.

Gaps and weights have the unit *pair*, rank correlations the unit *edge* or *node*: edges share
nodes and are no independent draws, so a bootstrap over them is a lower bound of the uncertainty.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata

from latent_ledger.evaluations.edges.measure import Attribution, strongest
from latent_ledger.evaluations.edges.metrics import ENDS, measure
from latent_ledger.evaluations.edges.network import Network
from latent_ledger.statistics.records import Records

NAMED_EDGES = 5
"""Number of strongest edges whose weights are separate metrics, for the ledger to list."""


def record_nodes(
    records: Records,
    network: Network,
    attribution: Attribution,
    kept: Sequence[int],
    ablated: np.ndarray,
    labels: Mapping[int, str],
) -> None:
    """``nodes.parquet``: the kept nodes; how well attribution predicts their ablation."""
    places = [network.place(node) for node in kept]
    effects, lost = attribution.effects[kept], ablated.mean(0)
    records.table(
        "nodes.parquet",
        {
            "node": np.array(kept, dtype=np.int64),
            "coder": [site.name for site, _ in places],
            "layer": np.array([site.layer for site, _ in places], dtype=np.int64),
            "latent": np.array([site.latent(inside) for site, inside in places], dtype=np.int64),
            "label": [labels[node] for node in kept],
            "effect": effects,
            "gradient_effect": attribution.plain[kept],
            "direct_effect": attribution.direct[kept],
            "ablation": lost,
        },
    )
    _record_spearman(records, "node", "integrated-gradients effect", effects, lost)


def record_edges(
    records: Records,
    attribution: Attribution,
    selected: tuple[np.ndarray, np.ndarray],
    lost: np.ndarray,
    size: np.ndarray,
    labels: Mapping[int, str],
) -> None:
    """``edges.parquet``, ``edge_pairs.parquet`` and the metrics of edge ablations.

    `selected`: indices of top and of random edges; `lost`, `size` [pairs, edges]: of both in turn.
    """
    top, random = selected
    measured = np.concatenate([top, random]).astype(int)
    weights = attribution.weights.mean(0)
    order = strongest(weights)
    low, high = _intervals(attribution.weights[:, order], records)
    effect = np.full(len(weights), np.nan)
    effect[measured] = lost.mean(0)
    arm = np.full(len(weights), "", dtype=object)
    arm[top], arm[random] = "top", "random"
    ends = np.array(attribution.edges, dtype=np.int64).reshape(-1, 2)[order]
    records.table(
        "edges.parquet",
        {
            "source": ends[:, 0],
            "target": ends[:, 1],
            "source_label": [labels[node] for node in ends[:, 0]],
            "target_label": [labels[node] for node in ends[:, 1]],
            "weight": weights[order],
            "weight_low": low,
            "weight_high": high,
            "pairs": np.full(len(order), len(attribution.weights)),
            "arm": arm[order].astype(str),
            "ablation": effect[order],
        },
    )
    for rank, index in enumerate(order[:NAMED_EDGES]):
        records.add(
            f"edge/{rank + 1}",
            weights[index],
            ci=(low[rank], high[rank]),
            unit="pair",
            n=len(attribution.weights),
            seed=records.seed,
            resamples=records.resamples,
            higher_is_better=None,
            description=" -> ".join(labels[node] for node in attribution.edges[index]),
        )
    if not len(top):
        text = "There is no edge whose weight is not zero."
        records.add("edge_gap", 0.0, unit="pair", n=0, higher_is_better=True, description=text)
        return
    top_size = size[:, : len(top)].mean(1)
    random_size = size[:, len(top) :].mean(1) if len(random) else np.zeros(len(size))
    sizes = {"top": top_size, "random": random_size, "gap": top_size - random_size}
    records.table("edge_pairs.parquet", {"pair": np.arange(len(size)), **sizes})
    for name, column, text in (
        ("edge_gap", "gap", "the top edges minus that of random edges of the graph"),
        ("edge_effect_top", "top", "the top edges"),
        ("edge_effect_random", "random", "random edges of the graph, the top ones left out"),
    ):
        text = f"Mean |metric lost by ablating an edge|, in logits: {text}."
        measure(records, name, "edge_pairs.parquet", text, column)
    both = weights[measured], effect[measured]
    _record_spearman(records, "edge", "edge weight", *both, ", top and random edges together")
    name, table = "edge_sign_agreement", "edge_signs.parquet"
    records.table(table, {"edge": top, "agrees": np.sign(weights[top]) == np.sign(effect[top])})
    text = "Share of top edges whose ablation moves the metric the way the weight says."
    measure(records, name, table, text, "agrees", unit="edge")


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rank correlation along the last axis, ties at their mean rank; NaN where one is constant."""
    ranks = [rankdata(values, axis=-1) for values in (a, b)]
    x, y = (rank - rank.mean(-1, keepdims=True) for rank in ranks)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1))


def _record_spearman(
    records: Records, unit: str, predictor: str, a: np.ndarray, b: np.ndarray, note: str = ""
) -> None:
    """A rank correlation with its bootstrap over three units or more; left out where undefined."""
    estimate = float(spearman(a, b)) if len(a) > 2 else np.nan
    if not np.isfinite(estimate):
        return
    rng = np.random.default_rng(records.seed)
    draws = rng.integers(0, len(a), size=(records.resamples, len(a)))
    drawn = spearman(a[draws], b[draws])
    drawn = drawn[np.isfinite(drawn)]
    records.add(
        f"{unit}_spearman",
        estimate,
        ci=np.quantile(drawn, ENDS) if len(drawn) > 1 else None,
        unit=unit,
        n=len(a),
        seed=records.seed,
        resamples=records.resamples,
        higher_is_better=True,
        description=f"Rank correlation of {predictor} (attribution half) and metric lost by "
        f"ablating the {unit} (evaluation half){note}.",
    )


def _intervals(values: np.ndarray, records: Records) -> tuple[np.ndarray, np.ndarray]:
    """95% bootstrap bounds of the mean over pairs of each column, [edges] each."""
    draws = np.random.default_rng(records.seed).integers(
        0, len(values), size=(records.resamples, len(values))
    )
    counts = np.stack([np.bincount(row, minlength=len(values)) for row in draws])
    low, high = np.quantile(counts @ values / len(values), ENDS, axis=0)
    return low, high


def error_shares(network: Network, effects: np.ndarray) -> dict[str, float | None]:
    """Per coder, the error node's |effect| as a share of all its nodes' (None: no effect)."""
    sizes = {site.name: np.abs(effects[site.span]) for site in network.sites}
    return {
        name: float(size[-1] / size.sum()) if size.any() else None for name, size in sizes.items()
    }
