"""Metrics, tables, JSON and verdict of causal edges, with and without an effect."""

from __future__ import annotations

import json
from types import SimpleNamespace

import jsonschema
import networkx as nx
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from latent_ledger.coders.formats.site_file import write_site
from latent_ledger.evaluations.edges import edge_metrics, export, rows
from latent_ledger.evaluations.edges.evaluation import evaluate, produce
from latent_ledger.evaluations.edges.measure import Attribution
from latent_ledger.evaluations.edges.network import Network
from latent_ledger.ledger.verdicts import verdict
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json, write_json
from latent_ledger.models.hook_points import CoderSite
from latent_ledger.statistics.records import Records
from tests.evaluations.edges import toys
from tests.tiny_models import byte_tokenizer, folder_digest

TEXT, NUMBER = {"type": "string"}, {"type": "number"}
CIRCUIT_TRACER = {
    "type": "object",
    "required": ["metadata", "qParams", "nodes", "links"],
    "properties": {
        "metadata": {
            "type": "object",
            "required": ["slug", "scan", "transcoder_list", "prompt_tokens", "prompt"],
            "properties": {"prompt_tokens": {"type": "array", "items": TEXT}},
        },
        "qParams": {
            "type": "object",
            "required": ["pinnedIds", "supernodes", "linkType", "clickedId", "sg_pos"],
        },
        "nodes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["node_id", "feature", "layer", "ctx_idx", "feature_type", "jsNodeId"],
                "properties": {
                    "node_id": {"type": "string", "pattern": "^[0-9]+_-?[0-9]+_[0-9]+$"},
                    "feature": {"type": "integer"},
                    "layer": TEXT,
                    "ctx_idx": {"type": "integer", "minimum": 0},
                    "feature_type": {
                        "enum": ["cross layer transcoder", "mlp reconstruction error", "logit"]
                    },
                },
            },
        },
        "links": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["source", "target", "weight"],
                "properties": {"source": TEXT, "target": TEXT, "weight": NUMBER},
            },
        },
    },
}


def run(out, model, **changes):
    """Facts, metrics by name, and the row's finding with its verdict."""
    out.mkdir()
    facts = evaluate(toys.settings(**changes), model, byte_tokenizer(), toys.coders(), out)
    by = {metric["name"]: metric for metric in read_json(out / "metrics.json")["metrics"]}
    payload = SimpleNamespace(folder=lambda: out, facts=facts)
    finding = rows.read(None, payload)
    return facts, by, finding, verdict(finding.main, null=finding.null, alpha=0.05)


def test_planted_graph_has_a_novel_row(tmp_path):
    facts, by, finding, label = run(tmp_path / "out", toys.planted(second=0.1))
    assert facts["edges"] == 2 and facts["measured_edges"] == {"top": 1, "random": 1}
    assert by["task_accuracy"]["estimate"] == 1.0
    assert by["edge_gap"]["estimate"] == pytest.approx(2.7, abs=1e-5)
    assert by["edge_gap"]["ci"] == pytest.approx([2.7, 2.7], abs=1e-5)
    assert by["at_stake"]["estimate"] == pytest.approx(3.3, abs=1e-5)
    assert by["edge/1"]["estimate"] == pytest.approx(3.0, abs=1e-5)
    assert by["edge/1"]["description"] == ("layer 0 latent 0 (on 'A') -> layer 1 latent 2 (on 'p')")
    assert by["faithfulness_gap"]["estimate"] > 0
    assert label == "novel" and finding.main["name"] == "edge_gap"
    text = rows.section(
        [
            SimpleNamespace(
                row_type="edges", run_id="edges-toy", metrics=finding.metrics, label=label
            )
        ]
    )
    assert "layer 0 latent 0 (on 'A') -> layer 1 latent 2 (on 'p'): +3.000" in text


def test_model_without_effect_has_no_edges_and_is_inconclusive(tmp_path):
    facts, by, finding, label = run(tmp_path / "out", toys.planted(answer=0.0))
    assert facts["edges"] == 0 and "faithfulness_gap" in facts["undefined"]
    assert by["edge_gap"]["n"] == 0 and by["edge_gap"]["ci"] is None
    assert by["at_stake"]["estimate"] == 0.0
    assert by["task_accuracy"]["ci"] == [0.5, 0.5]
    assert label == "inconclusive" and "no edges found" in finding.key_results
    graph = read_json(tmp_path / "out/graph.json")
    assert [node["feature_type"] for node in graph["nodes"]] == ["logit"]


def test_unsolved_task_is_inconclusive(tmp_path):
    model = toys.planted(second=0.1)
    model.bias[toys.token("b")] = 100.0  # "b" whatever the prompt says: right every other time
    _, by, finding, label = run(tmp_path / "out", model)
    assert by["edge_gap"]["estimate"] == pytest.approx(2.7, abs=1e-5)
    assert by["task_accuracy"]["estimate"] == 0.5
    assert finding.main["name"] == "task_accuracy" and label == "inconclusive"
    assert "does not solve the task" in finding.notes


def test_graph_json_has_circuit_tracer_form(tmp_path):
    run(tmp_path / "out", toys.planted(second=0.1, hidden=0.5))
    graph = json.loads((tmp_path / "out/graph.json").read_text())
    jsonschema.validate(graph, CIRCUIT_TRACER)
    names = [node["node_id"] for node in graph["nodes"]]
    assert len(set(names)) == len(names)
    links = nx.DiGraph((link["source"], link["target"]) for link in graph["links"])
    assert set(links) <= set(names) and nx.is_directed_acyclic_graph(links)
    answer = f"3_{toys.token('a')}_3"
    assert graph["nodes"][-1]["node_id"] == answer and graph["nodes"][-1]["is_target_logit"]
    weights = {(link["source"], link["target"]): link["weight"] for link in graph["links"]}
    # u1 (layer 0, latent 0) at "A", position 2; d1 (layer 1, latent 2) at "p", position 3
    assert weights["0_0_2", "1_2_3"] == pytest.approx(3.0, abs=1e-5)
    assert weights["1_2_3", answer] == pytest.approx(3.0, abs=1e-5)
    assert weights["0_-1_2", "1_-1_3"] == pytest.approx(0.5, abs=1e-5)
    by_name = {node["node_id"]: node for node in graph["nodes"]}
    assert by_name["1_2_3"]["feature"] == 8 and by_name["1_-1_3"]["feature"] == -1
    assert by_name["1_2_3"]["clerp"] == "layer 1 latent 2 (on 'p')"
    assert graph["metadata"]["prompt_tokens"][2:] == ["A", "p"]


def test_nodes_without_path_to_answer_are_left_out():
    direct = np.zeros(12)
    direct[8] = 1.0
    edges = [(0, 8), (1, 9)]
    attribution = Attribution(direct, direct, direct, [[0, 1], [2, 3]], edges, np.ones((2, 2)))
    graph = export.directed(attribution, [0, 1], [0, 1, 8, 9])
    assert set(graph.edges) == {(0, 8), (8, export.ANSWER)}


def recorded(out, weights, lost):
    """The metrics of edges with made-up weights [pairs, edges] and ablations [pairs, edges]."""
    out.mkdir()
    network = Network(toys.planted(), toys.coders())
    count = weights.shape[1]
    ends = [(up, 6 + down) for up in range(6) for down in range(6)][:count]
    zero = np.zeros(len(network))
    attribution = Attribution(zero, zero, zero, [[], []], ends, weights)
    order = np.argsort(-np.abs(weights.mean(0)))
    records = Records(out, resamples=400, seed=0)
    selected = order[: count // 2], order[count // 2 :]
    lost = lost[:, order]
    labels = {node: str(node) for node in range(len(network))}
    edge_metrics.record_edges(records, attribution, selected, lost, np.abs(lost), labels)
    return records


def test_random_weights_score_their_null(tmp_path):
    draw = np.random.default_rng(1)
    weights, lost = draw.normal(size=(30, 24)), draw.normal(size=(30, 24))
    by = recorded(tmp_path / "null", weights + draw.normal(size=24), lost).metrics
    for name, null in (("edge_gap", 0.0), ("edge_spearman", 0.0), ("edge_sign_agreement", 0.5)):
        low, high = by[name]["ci"]
        assert low <= null <= high, name
    informative = weights + 3 * lost
    noisy = lost + draw.normal(size=24)
    informed = recorded(tmp_path / "informed", informative, noisy).metrics
    assert informed["edge_spearman"]["estimate"] != by["edge_spearman"]["estimate"]


def test_true_weights_score_the_maximum(tmp_path):
    draw = np.random.default_rng(0)
    truth = draw.normal(size=24)
    noise = 0.01 * draw.normal(size=(30, 24))
    records = recorded(tmp_path / "true", truth + noise, truth + noise[::-1])
    by = records.metrics
    assert by["edge_spearman"]["estimate"] > 0.99 and by["edge_sign_agreement"]["estimate"] == 1
    assert by["edge_gap"]["ci"][0] > 0
    table = records.tables["edges.parquet"].to_pydict()
    inside = np.mean(
        [
            low <= weight <= high
            for low, weight, high in zip(
                table["weight_low"], table["weight"], table["weight_high"], strict=True
            )
        ]
    )
    assert inside == 1.0 and set(table["pairs"]) == {30}


def test_edge_weight_without_effect_has_interval_around_zero(tmp_path):
    draw = np.random.default_rng(0)
    weights = np.stack([draw.normal(size=40), 2 + draw.normal(size=40)], 1)
    table = recorded(tmp_path / "out", weights, weights).tables["edges.parquet"].to_pydict()
    spans = list(zip(table["weight_low"], table["weight_high"], strict=True))
    assert spans[0][0] > 0 and spans[1][0] < 0 < spans[1][1]


def save_coder(folder, layer, seed, d=32, width=48):
    draw = torch.Generator().manual_seed(seed)
    folder.mkdir()
    save_file(
        {
            "encoder.weight": torch.randn(width, d, generator=draw) / d**0.5,
            "encoder.bias": torch.zeros(width),
            "W_dec": torch.randn(width, d, generator=draw) / d**0.5,
            "b_dec": torch.zeros(d),
        },
        folder / "sae.safetensors",
    )
    write_json(folder / "cfg.json", {"k": 12})
    write_site(folder, "sparsify", CoderSite.at(layer, "resid_post"))
    return folder


def test_equal_folders_give_equal_bytes(tmp_path, neox):
    coders = {f"c{layer}": save_coder(tmp_path / f"c{layer}", layer, layer) for layer in (0, 2)}
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        out.mkdir()
        facts = produce(toys.settings(pairs=8, batch=4, draws=1), neox, coders, out)
    assert folder_digest(outs[0]) == folder_digest(outs[1])
    assert facts["kept_nodes"] == 8 and facts["edges"] > 4
    jsonschema.validate(read_json(outs[0] / "graph.json"), CIRCUIT_TRACER)
    curves = pq.read_table(outs[0] / "curves.parquet").to_pydict()
    for name in ("faithfulness", "completeness", "faithfulness_random", "completeness_random"):
        assert curves[name][0] == pytest.approx(0, abs=1e-4)
        assert curves[name][-1] == pytest.approx(1, abs=1e-4)
    assert set(read_json(outs[0] / "metrics.json")["metrics"][0]) >= {"ci", "unit", "n", "seed"}


def test_group_with_two_coders_at_one_layer_is_refused(tmp_path):
    coders = {"a": toys.identity_coder(0), "b": toys.identity_coder(0)}
    with pytest.raises(LedgerError, match="one per layer, not of 0, 0"):
        evaluate(toys.settings(), toys.planted(), byte_tokenizer(), coders, tmp_path)
