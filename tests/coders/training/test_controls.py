"""Controls: a control learns what it may and nothing else, in units that it does not see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.coders.training import trainer
from latent_ledger.coders.training.architectures.registry import ARCHITECTURES
from latent_ledger.coders.training.batches import Batches
from latent_ledger.coders.training.control_weights import COSINE, LEARNT
from latent_ledger.models.hook_points import CoderSite
from tests.coders.shard_folders import write_activations
from tests.coders.training.recipes import CONTEXT, SAE, SKIP, losses_of, sides


def drawn_and_learnt(settings: dict, world: dict[str, Path], out: Path) -> tuple[dict, ...]:
    """Weights at initialisation, weights after training, facts."""
    recipe = trainer.Recipe.from_settings(settings)
    batches = Batches(sides(world, settings), recipe.site, batch_tokens=recipe.batch_tokens)
    coder = trainer.Training(recipe, batches, torch.device("cpu")).coder
    drawn = {name: value.detach().clone() for name, value in coder.named_parameters()}
    facts = trainer.produce(settings, sides(world, settings), out)
    return drawn, load_coder(out).weights, facts


@pytest.mark.parametrize("optimizer", ["signum", "adam", "muon"])
@pytest.mark.parametrize("weights", LEARNT)
@pytest.mark.parametrize("base", [SAE, SKIP], ids=lambda base: base["architecture"])
def test_a_control_changes_what_it_may_and_nothing_else(base, weights, optimizer, world, tmp_path):
    rate = {"optimizer": optimizer, "learning_rate": 0.02, "lr_warmup_steps": 1}
    settings = base | {"weights": weights} | rate
    drawn, learnt, facts = drawn_and_learnt(settings, world, tmp_path)
    parameters = ARCHITECTURES[base["architecture"]].parameters
    changed = {name for name in drawn if not torch.equal(drawn[name], learnt[name])}
    assert changed == parameters.with_roles(LEARNT[weights]) == set(facts["learnt"])
    assert facts["weights"] == weights
    assert ("decoder_cosine" in facts) == (weights != "trained")
    if weights == "trained":
        return
    norms = drawn["W_dec"].norm(dim=1)  # a transcoder's too, which sparsify starts at zero
    torch.testing.assert_close(norms, torch.ones_like(norms))
    cosine = torch.cosine_similarity(drawn["W_dec"].double(), learnt["W_dec"].double(), dim=1)
    assert facts["decoder_cosine"]["least"] == pytest.approx(float(cosine.min()), abs=1e-12)
    if weights == "soft-frozen-decoder":
        assert COSINE - 1e-6 <= float(cosine.min()) < 0.9
    else:
        assert float(cosine.min()) == pytest.approx(1, abs=1e-9)


def test_a_frozen_sae_starts_as_the_trained_one_does(world, tmp_path):
    """The controls differ in what they learn and in nothing else: the draw is sparsify's own."""
    drawn, losses = {}, {}
    for weights in LEARNT:
        (tmp_path / weights).mkdir()
        drawn[weights], *_ = drawn_and_learnt(SAE | {"weights": weights}, world, tmp_path / weights)
        losses[weights] = losses_of(tmp_path / weights)
    for weights, names in LEARNT.items():
        assert all(
            torch.equal(drawn[weights][name], value) for name, value in drawn["trained"].items()
        )
        # torch decodes by one kernel where the decoder learns and by another where it does not.
        alike = "trained" if "decoder" in names else "frozen-decoder"
        assert losses[weights][0] == losses[alike][0]
    assert abs(losses["frozen-decoder"][0] - losses["trained"][0]) <= np.spacing(
        losses["trained"][0]
    )
    last = {weights: values[-6:].mean() for weights, values in losses.items()}
    assert last["trained"] < last["soft-frozen-decoder"] < 0.8 * last["frozen-decoder"]
    assert last["trained"] < 0.8 * last["random"]


def test_soft_frozen_decoder_reaches_its_bound_and_stays_within(world, tmp_path):
    """Without it the same rows go further than it allows, at every optimiser's own step."""
    rate = {"optimizer": "adam", "learning_rate": 0.02, "lr_warmup_steps": 1}
    free, soft = SAE | rate, SAE | rate | {"weights": "soft-frozen-decoder"}
    (tmp_path / "free").mkdir()
    (tmp_path / "soft").mkdir()
    drawn, learnt, _ = drawn_and_learnt(free, world, tmp_path / "free")
    far = torch.cosine_similarity(drawn["W_dec"], learnt["W_dec"], dim=1) < COSINE
    assert far.float().mean() > 0.2
    drawn, learnt, _ = drawn_and_learnt(soft, world, tmp_path / "soft")
    held = torch.cosine_similarity(drawn["W_dec"].double(), learnt["W_dec"].double(), dim=1)
    assert ((held >= COSINE - 1e-6) & (held < COSINE + 1e-6)).float().mean() > 0.2


def test_a_unit_scale_makes_training_blind_to_the_size_of_activations(world, tmp_path):
    """A model with small activations gets the coder that it would get with large ones."""
    factors = {"layers.1.mlp_in": 4.0, "layers.1.mlp_out": 2.0**-9}
    small = {}
    for hook_point, factor in factors.items():
        shards = Batches(
            {"input_hook": world[hook_point]}, CoderSite.at(1, hook_point[9:]), batch_tokens=128
        ).shards[0]
        read = shards.read(0, len(shards))
        small[hook_point] = write_activations(
            tmp_path / hook_point,
            hook_point,
            read["activations"].reshape(-1, CONTEXT, shards.d) * factor,
            read["token_ids"].reshape(-1, CONTEXT),
            per_shard=100,
            tokens=shards.meta["tokens"],
        )
    site, fvu, outputs, units = CoderSite.at(1, "mlp_in", "mlp_out"), {}, {}, {}
    for name, acts in {"small": small, "as they are": world}.items():
        for unit_scale in (True, False):
            out = tmp_path / f"{name}-{unit_scale}"
            out.mkdir()
            facts = trainer.produce(SKIP | {"unit_scale": unit_scale}, sides(acts, SKIP), out)
            fvu[name, unit_scale], units[name, unit_scale] = facts["fvu"], facts.get("units")
        coder = load_coder(tmp_path / f"{name}-True")
        x, y = Batches(sides(acts, SKIP), site, batch_tokens=1024).load(0)
        outputs[name] = coder.reconstruct(x), coder.encode(x), coder.weights["W_dec"]
        error = float((y - outputs[name][0]).pow(2).sum() / (y - y.mean(0)).pow(2).sum())
        assert error == pytest.approx(fvu[name, True], abs=0.1)  # folded: right in its own units
    # Powers of two divide without rounding, so the two runs agree to the bit.
    assert fvu["small", True] == fvu["as they are", True]
    assert fvu["small", False] > 2 > 1 > fvu["small", True]  # the recipe alone is worse than a mean
    (y_small, codes_small, w_small), (y_own, codes_own, w_own) = outputs.values()
    assert torch.equal(y_small, y_own * 2.0**-9)
    assert torch.equal(codes_small[1], codes_own[1])
    assert torch.equal(w_small, w_own)
    assert units["small", False] is None
    for side, factor in zip(("input_hook", "output_hook"), factors.values(), strict=True):
        assert units["small", True][side] == factor * units["as they are", True][side]
