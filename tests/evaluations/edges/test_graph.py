"""Node effects, edges and curves: on toys whose numbers are known, and on a real architecture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latent_ledger.coders.formats.gemma_scope.loader import GemmaScopeCoder
from latent_ledger.coders.formats.sparsify.loader import SparsifyCoder
from latent_ledger.evaluations.edges import faithfulness, graph, measure, nodes
from latent_ledger.evaluations.edges.network import Network, pin
from latent_ledger.evaluations.edges.task import batches, make_pairs
from latent_ledger.models import language_model
from latent_ledger.models.hook_points import CoderSite
from tests.evaluations.edges import toys
from tests.evaluations.edges.toys import D1, FEATURES, U1, U2
from tests.tiny_models import PAD, byte_tokenizer

ERROR = FEATURES
"""Number of the error node within a site."""
LOWER = FEATURES + 1
"""First node of the second site."""


def traced(model, coders=None, **changes):
    """Network, one step over all pairs, and settings."""
    settings = toys.settings(**changes)
    network = Network(model, coders or toys.coders())
    pairs, _ = make_pairs(settings["task"], byte_tokenizer(), settings["pairs"], 0)
    (batch,) = batches(pairs["attribution"] + pairs["evaluation"], 64, PAD)
    return network, network.step(batch), settings


def corrupted_metric(network, step):
    return network.run(step.batch, corrupted=True)


def attributed(model, **changes):
    network, step, settings = traced(model, **changes)
    return network, step, measure.attribute(network, [step], settings)


def test_planted_graph_is_recovered_with_its_weights():
    network, step, attribution = attributed(toys.planted())
    effects = np.zeros(len(network))
    effects[[U1, LOWER + D1]] = 3.0  # 2 d1 per u1, 1.5 logits per d1
    np.testing.assert_allclose(attribution.effects, effects, atol=1e-5)
    direct = np.where(np.arange(len(network)) < LOWER, 0, effects)
    np.testing.assert_allclose(attribution.direct, direct)
    assert attribution.kept == [[U1], [D1]]
    assert attribution.edges == [(U1, LOWER + D1)]
    np.testing.assert_allclose(attribution.weights, 3.0, atol=1e-5)


def test_jumprelu_coder_gives_the_same_graph():
    coders = {}
    for layer in (0, 1):
        topk = toys.identity_coder(layer)
        weights = {
            "W_enc": topk.weights["encoder.weight"].mT,
            "W_dec": topk.weights["W_dec"],
            "b_enc": topk.weights["encoder.bias"],
            "b_dec": topk.weights["b_dec"],
            "threshold": torch.full((FEATURES,), 0.1),
        }
        coders[str(layer)] = GemmaScopeCoder(weights, topk.site)
    network, step, settings = traced(toys.planted(), coders)
    attribution = measure.attribute(network, [step], settings)
    assert attribution.edges == [(U1, LOWER + D1)]
    np.testing.assert_allclose(attribution.weights, 3.0, atol=1e-5)


def test_signs_and_error_nodes_are_recovered():
    network, step, attribution = attributed(toys.planted(second=-0.1, hidden=0.5))
    weights = dict(zip(attribution.edges, attribution.weights.mean(0), strict=True))
    present = {edge: weight for edge, weight in weights.items() if abs(weight) > 1e-6}
    assert present == pytest.approx(
        {(U1, LOWER + D1): 3.0, (U2, LOWER + toys.D2): -0.3, (ERROR, LOWER + ERROR): 0.5}, abs=1e-5
    )


def test_ablated_edge_costs_planted_effect():
    network, step, _ = traced(toys.planted(hidden=0.5))
    edges = [(U1, LOWER + D1), (U2, LOWER + D1), (U2, LOWER + toys.D2), (ERROR, LOWER + ERROR)]
    lost = graph.ablate_edges(network, step, edges)
    expected = torch.tensor([3.0, 0.0, 0.0, 0.5]).expand(len(step.batch), -1)
    torch.testing.assert_close(lost, expected)
    lost = nodes.ablate_nodes(network, step, [U1, U2, ERROR])
    torch.testing.assert_close(lost, torch.tensor([3.0, 0.0, 0.5]).expand(len(step.batch), -1))


def test_ablated_edge_keeps_other_edges_of_source():
    network, step, _ = traced(toys.planted(second=0.1, forks=True))
    lost = graph.ablate_edges(network, step, [(U1, LOWER + D1), (U1, LOWER + toys.D2)])
    torch.testing.assert_close(lost, torch.tensor([3.0, 0.3]).expand(len(step.batch), -1))
    whole = nodes.ablate_nodes(network, step, [U1])
    torch.testing.assert_close(whole, torch.full((len(step.batch), 1), 3.3))


def test_model_without_path_to_answer_has_no_graph():
    _, _, attribution = attributed(toys.planted(answer=0.0))
    assert attribution.kept == [[], []] and attribution.edges == []
    assert attribution.weights.shape == (4, 0)
    assert not attribution.effects.any()


def test_integrated_gradients_sum_to_the_total_effect():
    network, step, _ = traced(toys.planted(bends=True, answer=2.0, hidden=1.0))
    total = step.metric - corrupted_metric(network, step)

    def gap(points, number):
        site = network.sites[number]
        gradient = nodes.slope(network, step, site, points)
        effects = nodes.node_effects(step, site, gradient).sum((1, 2))
        return float(((effects - total) / total).abs().max())

    for number in range(2):
        assert gap(nodes.midpoints(10), number) < 0.005
    assert gap(nodes.midpoints(40), 0) < gap(nodes.midpoints(4), 0) / 20
    assert gap([1.0], 0) > 0.2, "the plain gradient is what integrating corrects"


def test_faithfulness_and_completeness_equal_hand_computation():
    network, step, _ = traced(toys.planted(hidden=1.0))
    order = np.array([U1, LOWER + D1, ERROR, LOWER + ERROR, U2])  # worth 3, 3, 1, 1, 0
    sizes = np.array([0, 1, 2, 3, 4, 5])

    def shares(values):
        empty = corrupted_metric(network, step).double().numpy()[:, None]
        return (values.double().numpy() - empty) / (step.metric.double().numpy()[:, None] - empty)

    kept = faithfulness.curve(network, step, order, sizes)
    rows = (len(step.batch), 1)
    expected = np.tile([0, 0, 0.75, 0.75, 1, 1], rows)
    np.testing.assert_allclose(shares(kept), expected, atol=1e-5)
    removed = faithfulness.curve(network, step, order, sizes, complement=True)
    complement = np.tile([1, 0.25, 0.25, 0, 0, 0], rows)
    np.testing.assert_allclose(shares(removed), complement, atol=1e-5)
    # 0, 0, .75, .75, 1, 1 in five equal steps
    area = (0 + 0.375 + 0.75 + 0.875 + 1) / 5
    np.testing.assert_allclose(faithfulness.area(shares(kept), sizes), area, atol=1e-5)


def test_ladder_has_both_ends_and_no_repeats():
    assert faithfulness.ladder([0.001, 0.01, 0.5], 100).tolist() == [0, 1, 50, 100]


def test_top_and_random_edges_are_disjoint_parts_of_the_graph():
    weights = np.array([0.0, 5.0, -4.0, 3.0, 0.0, 2.0, -1.0])
    top, rest = measure.select_edges(weights, 2, 10, seed=0)
    assert top.tolist() == [1, 2] and rest.tolist() == [3, 5, 6]
    top, rest = measure.select_edges(weights, 40, 1, seed=0)
    assert top.tolist() == [1, 2, 3] and len(rest) == 1 and rest[0] in (5, 6)
    assert [indices.tolist() for indices in measure.select_edges(np.zeros(3), 2, 2, 0)] == [[], []]


def random_coder(site: CoderSite, seed: int, *, width=48, d=32) -> SparsifyCoder:
    """A random coder whose active latents are all the positive ones: no jumps, so derivatives."""
    draw = torch.Generator().manual_seed(seed)
    weights = {
        "encoder.weight": torch.randn(width, d, generator=draw) / d**0.5,
        "encoder.bias": torch.zeros(width),
        "W_dec": torch.randn(width, d, generator=draw) / d**0.5,
        "b_dec": 0.1 * torch.randn(d, generator=draw),
    }
    cfg = {"k": width, "transcode": not site.autoencodes}
    if not site.autoencodes:
        weights["W_skip"] = torch.randn(d, d, generator=draw) / d**0.5
        cfg["skip_connection"] = True
    return SparsifyCoder(cfg, weights, site)


@pytest.fixture(scope="module")
def real(neox):
    """A random GPT-NeoX with an SAE, a skip-transcoder and an SAE, over the layers."""
    coders = {
        "below": random_coder(CoderSite.at(0, "resid_post"), 0),
        "middle": random_coder(CoderSite.at(1, "mlp_in", "mlp_out"), 1),
        "above": random_coder(CoderSite.at(2, "resid_post"), 2),
    }
    contexts = ["I saw", "we know", "They", "In"]
    task = toys.TASK | {"contexts": contexts, "links": ["", " p"]}
    return traced(language_model.load_model(neox), coders, task=task)


def test_all_nodes_together_give_the_model(real):
    network, step, _ = real
    for split in step.clean:
        whole = split.f @ split.site.decoder + split.rest
        torch.testing.assert_close(whole, split.y, rtol=0, atol=1e-5)
    corrupted = corrupted_metric(network, step)
    for keep, wanted in ((True, step.metric), (False, corrupted)):
        metric = faithfulness.kept_metric(network, step, np.full(len(network), keep))
        torch.testing.assert_close(metric, wanted, rtol=0, atol=1e-4)
    assert (step.metric - corrupted).abs().min() > 1e-3


def test_metric_does_not_depend_on_padding(real):
    network, step, _ = real
    short = int(step.batch.last.argmin())
    (alone,) = (
        type(step.batch)(
            *(
                getattr(step.batch, name)[short : short + 1]
                for name in ("clean", "corrupted", "last", "right", "wrong")
            )
        ),
    )
    length = int(alone.last[0]) + 1
    trimmed = type(alone)(
        alone.clean[:, :length], alone.corrupted[:, :length], alone.last, alone.right, alone.wrong
    )
    torch.testing.assert_close(network.run(trimmed)[0], step.metric[short], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("up", "down"), [(0, 1), (1, 2), (0, 2)])
def test_edge_weights_equal_finite_differences(real, up, down):
    """Against finite differences of the downstream node, the site in between pinned."""
    network, step, _ = real
    gradients = [nodes.slope(network, step, site, [1.0]) for site in network.sites]
    width = network.sites[0].width
    kept = [[*split.f.sum((0, 1)).topk(3).indices.tolist(), width] for split in step.clean]
    weights = graph.edge_weights(network, step, gradients, kept, [1.0])[up, down]
    site, between = network.sites[down], range(up + 1, down)
    for row, node in enumerate(kept[up]):
        change = step.change(network.sites[up], node)
        values = []
        for sign in (1, -1):
            seen = {}
            edited = step.clean[up].y + sign * 1e-3 * change
            pins = {number: pin(step.clean[number].y) for number in between}
            network.run(step.batch, {up: pin(edited), **pins}, seen=seen)
            f = site.latents(seen[down][0])
            latents = (
                f[..., kept[down][:-1]] * (gradients[down] @ site.decoder.mT)[..., kept[down][:-1]]
            )
            error = (site.rest(f, seen[down][1]) * gradients[down]).sum(-1, keepdim=True)
            values.append(torch.cat([latents, error], -1).sum(1))
        slope = (values[0] - values[1]) / 2e-3
        torch.testing.assert_close(weights[:, row], slope, rtol=0.03, atol=2e-3)


def test_residual_site_stops_edges_past_it(neox):
    coders = {
        str(layer): random_coder(CoderSite.at(layer, "resid_post"), layer) for layer in range(3)
    }
    network, step, _ = traced(language_model.load_model(neox), coders)
    gradients = [nodes.slope(network, step, site, [1.0]) for site in network.sites]
    kept = [[0, 1, network.sites[0].width]] * 3
    weights = graph.edge_weights(network, step, gradients, kept, [1.0])
    assert weights[0, 1].any() and weights[1, 2].any() and not weights[0, 2].any()
    errors = [site.span.stop - 1 for site in network.sites]
    edges = [(errors[0], errors[1]), (errors[1], errors[2]), (errors[0], errors[2])]
    lost = graph.ablate_edges(network, step, edges)
    assert lost[:, 0].any() and lost[:, 1].any() and not lost[:, 2].any()
