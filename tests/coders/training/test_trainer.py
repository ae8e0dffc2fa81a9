"""Training equals sparsify's step for step, survives SIGKILL, and finds a planted dictionary; a
control learns what it may and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from sparsify import SparseCoder

from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.coders.training import trainer
from latent_ledger.coders.training.architectures.registry import ARCHITECTURES
from latent_ledger.coders.training.batches import Batches
from latent_ledger.coders.training.control_weights import COSINE, LEARNT
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json, sealed
from latent_ledger.models.hook_points import CoderSite
from tests.coders.formats.upstream import sparsify_losses
from tests.coders.shard_folders import from_model, synthetic, write_activations
from tests.tiny_models import flip_a_bit, folder_digest, neox_folder, packed_tokens

CONTEXT = 16
BASE = {"layer": 1, "width": 128, "k": 8, "seed": 3, "batch_tokens": 8 * CONTEXT}
SAE = BASE | {"architecture": "sae", "input_hook": "resid_post", "output_hook": "resid_post"}
TRANSCODER = BASE | {"architecture": "transcoder", "input_hook": "mlp_in", "output_hook": "mlp_out"}
SKIP = TRANSCODER | {"architecture": "skip-transcoder"}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> dict[str, Path]:
    """A tiny NeoX, 50 batches and a half of tokens, and its activations in float32."""
    root = tmp_path_factory.mktemp("world")
    model = neox_folder(root / "model")
    tokens = packed_tokens(root / "tokens", contexts=50 * 8 + 4, context=CONTEXT)
    hook_points = ("layers.1.resid_post", "layers.1.mlp_in", "layers.1.mlp_out")
    return {"model": model, "tokens": tokens} | from_model(
        model, tokens, root / "acts", *hook_points
    )


def sides(world: dict[str, Path], settings: dict) -> dict[str, Path]:
    return {side: world[f"layers.1.{settings[side]}"] for side in ("input_hook", "output_hook")}


def losses_of(folder: Path, column: str = "fvu") -> np.ndarray:
    return pq.read_table(folder / "training.parquet").column(column).to_numpy()


CASES = {
    "sae": (SAE, "layers.1", {}),
    "skip-transcoder": (SKIP, "layers.1.mlp", {}),
    "sae, adam, auxk": (
        SAE
        | {"optimizer": "adam", "auxk_alpha": 0.5, "dead_feature_threshold": 300}
        | {"learning_rate": 3e-3, "lr_warmup_steps": 5},
        "layers.1",
        {"optimizer": "adam", "auxk_alpha": 0.5, "dead_feature_threshold": 300}
        | {"lr": 3e-3, "lr_warmup_steps": 5},
    ),
    "transcoder, muon, multi-top-k": (
        TRANSCODER | {"optimizer": "muon", "multi_topk": True},
        "layers.1.mlp",
        {"optimizer": "muon"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_losses_equal_sparsify_trainer(case, world, tmp_path):
    settings, hookpoint, config = CASES[case]
    recipe = trainer.Recipe.from_settings(settings)
    theirs = sparsify_losses(
        world["model"],
        world["tokens"],
        tmp_path / "theirs",
        hookpoint,
        recipe.coder_config,
        batch_size=8,
        init_seeds=[settings["seed"]],
        **config,
    )
    trainer.produce(settings, sides(world, settings), tmp_path)
    assert len(theirs["fvu"]) == 51  # fifty batches, and the last, shorter one
    for column, values in theirs.items():
        ours = losses_of(tmp_path, column)
        # Muon's bfloat16 iterations amplify the last bit of a gradient; the others do not.
        rtol = 1e-3 if recipe.optimizer == "muon" else 1e-4
        np.testing.assert_allclose(ours[:50], values[:50], rtol=rtol, err_msg=column)
    if recipe.auxk_alpha:
        assert max(theirs["auxk"]) > 0
    # The stored weights are the same averaged ones, so both coders reconstruct alike.
    loaded = SparseCoder.load_from_disk(tmp_path / "theirs" / "run" / hookpoint)
    x, y = Batches(sides(world, settings), recipe.site, batch_tokens=2048).load(0)
    error = {}
    for name, coder in (("ours", SparseCoder.load_from_disk(tmp_path)), ("theirs", loaded)):
        with torch.no_grad():
            error[name] = float(coder(x, y).fvu)
    assert error["ours"] == pytest.approx(error["theirs"], rel=2e-3)


def test_batches_drop_special_tokens_and_follow_the_order_seed(world, tmp_path):
    """The equality above can fail: other rows or another order give other losses."""
    site = CoderSite.at(1, "resid_post")
    folders = {"input_hook": world["layers.1.resid_post"]}
    plain = Batches(folders, site, batch_tokens=128)
    x, y = plain.load(0)
    assert y is x
    ids = torch.cat([shard["token_ids"] for shard in plain.shards[0].shards()])[:128]
    assert len(x) == int((ids < 256).sum()) < 128
    assert torch.equal(x, plain.shards[0].read(0, 128)["activations"][ids < 256])
    assert len(plain) == 51
    assert len(plain.load(50)[0]) < 64

    shuffled = Batches(folders, site, batch_tokens=128, order_seed=5)
    assert sorted(shuffled.order) == list(plain.order) != list(shuffled.order)
    again = Batches(folders, site, batch_tokens=128, order_seed=5)
    assert torch.equal(shuffled.load(7)[0], again.load(7)[0])
    context = int(shuffled.order[0])
    rows = plain.shards[0].read(16 * context, 16 * context + 16)
    kept = rows["activations"][rows["token_ids"] < 256]
    assert torch.equal(shuffled.load(0)[0][: len(kept)], kept)


def test_batches_leave_no_shard_mapped(world):
    """A mapping keeps the pages that were read resident: a pass would hold all activations."""

    def mapped() -> bool:
        return str(world["layers.1.resid_post"]) in Path("/proc/self/maps").read_text()

    folders = {"input_hook": world["layers.1.resid_post"]}
    batches = Batches(folders, CoderSite.at(1, "resid_post"), batch_tokens=128)
    rows = batches.shards[0].read(0, 4)
    assert mapped()
    del rows
    kept = [batches.load(step) for step in range(len(batches))]
    assert len(kept) == 51 and not mapped()


def test_output_folder_and_facts(world, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    facts = trainer.produce(SKIP, sides(world, SKIP), tmp_path / "a")
    assert facts == trainer.produce(SKIP, sides(world, SKIP), tmp_path / "b")
    assert folder_digest(tmp_path / "a") == folder_digest(tmp_path / "b")
    assert set(folder_digest(tmp_path / "a")) == {
        "cfg.json",
        "sae.safetensors",
        "site.json",
        "training.parquet",
    }
    site = {"layer": 1, "input_hook": "mlp_in", "output_hook": "mlp_out", "format": "sparsify"}
    assert read_json(tmp_path / "a" / "site.json") == site
    table = pq.read_table(tmp_path / "a" / "training.parquet").to_pandas()
    assert facts["steps"] == len(table) == 51
    assert facts["fvu"] == pytest.approx(table.fvu[-6:].mean(), rel=1e-5)
    assert (
        facts["tokens"]
        == table.tokens.iloc[-1]
        == read_json(world["tokens"] / "meta.json")["n_tokens"]
    )

    # sparsify's own loader, on the transcoder's own target, agrees with the wrapper.
    coder, upstream = load_coder(tmp_path / "a"), SparseCoder.load_from_disk(tmp_path / "a")
    x, y = Batches(sides(world, SKIP), coder.site, batch_tokens=256).load(3)
    with torch.no_grad():
        outputs = upstream(x, y)
    torch.testing.assert_close(coder.reconstruct(x), outputs.sae_out, rtol=1e-5, atol=1e-5)
    mine = (y - coder.reconstruct(x)).pow(2).sum() / (y - y.mean(0)).pow(2).sum()
    assert float(mine) == pytest.approx(float(outputs.fvu), rel=1e-4)
    assert float(mine) < 0.5 * upstream(x).fvu.item()  # against its input it would look bad


def test_k_and_seed_make_different_coders(world, tmp_path):
    digests = set()
    for name, change in {"base": {}, "k": {"k": 16}, "seed": {"seed": 4}}.items():
        (tmp_path / name).mkdir()
        trainer.produce(SAE | change, sides(world, SAE), tmp_path / name)
        digests.add(folder_digest(tmp_path / name)["sae.safetensors"])
    assert len(digests) == 3
    assert load_coder(tmp_path / "k").k == 16


# --- controls ------------------------------------------------------------------------------------


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


# --- killed and continued ------------------------------------------------------------------------


CONTINUED = {optimizer: SAE | {"optimizer": optimizer} for optimizer in ("signum", "adam", "muon")}
CONTINUED["unit scale"] = SKIP | {"unit_scale": True}
CONTINUED |= {
    f"{architecture['architecture']}, {w}": architecture | {"weights": w}
    for architecture in (SAE, SKIP)
    for w in LEARNT
}


@pytest.mark.parametrize("case", CONTINUED)
def test_a_checkpoint_continues_to_the_same_bytes(case, world, tmp_path, monkeypatch):
    settings = CONTINUED[case] | {"checkpoint_steps": 20, "lr_warmup_steps": 10}
    (tmp_path / "whole").mkdir()
    trainer.produce(settings, sides(world, settings), tmp_path / "whole")

    learn = trainer.Training.learn

    def stumble(self, x, y):
        if self.step == 33:
            raise KeyboardInterrupt
        learn(self, x, y)

    checkpoint, out = tmp_path / "checkpoint", tmp_path / "resumed"
    out.mkdir()
    monkeypatch.setattr(trainer.Training, "learn", stumble)
    with pytest.raises(KeyboardInterrupt):
        trainer.produce(settings, sides(world, settings), out, checkpoint)
    firsts = []

    def counted(self, x, y):
        firsts.append(self.step)
        learn(self, x, y)

    monkeypatch.setattr(trainer.Training, "learn", counted)
    trainer.produce(settings, sides(world, settings), out, checkpoint)
    assert firsts[0] == 20
    assert folder_digest(out) == folder_digest(tmp_path / "whole")

    firsts.clear()  # nor does training continue from a state with a flipped bit
    flip_a_bit(sealed(checkpoint / "state.pt"))
    trainer.produce(settings, sides(world, settings), out, checkpoint)
    assert firsts[0] == 0
    assert folder_digest(out) == folder_digest(tmp_path / "whole")

    firsts.clear()  # another recipe does not continue from this state
    trainer.produce(settings | {"seed": 9}, sides(world, settings), out, checkpoint)
    assert firsts[0] == 0


JOB = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from latent_ledger.coders.training import trainer
settings, reads, out, checkpoint = json.loads(sys.argv[1]), *map(Path, sys.argv[2:])
trainer.produce(settings, {"input_hook": reads}, out, checkpoint)
"""


def test_sigkill_and_restart_end_with_the_same_bytes(tmp_path):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(64 * 500, 64, generator=generator)
    acts = synthetic(tmp_path / "acts", values, context=64)
    settings = {
        "architecture": "sae",
        "layer": 0,
        "input_hook": "resid_post",
        "width": 512,
        "k": 16,
    }
    settings |= {"batch_tokens": 64, "checkpoint_steps": 30}

    out, checkpoint = tmp_path / "killed", tmp_path / "checkpoint"
    out.mkdir()
    killed = subprocess.Popen(
        [sys.executable, "-c", JOB, json.dumps(settings), str(acts), str(out), str(checkpoint)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 60
    while not list(checkpoint.glob("state.*.pt")) and time.monotonic() < deadline:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    state = sealed(checkpoint / "state.pt")
    assert 30 <= torch.load(state, weights_only=True)["step"] < 500
    assert not list(out.iterdir())

    trainer.produce(settings, {"input_hook": acts}, out, checkpoint)
    (tmp_path / "whole").mkdir()
    trainer.produce(settings, {"input_hook": acts}, tmp_path / "whole")
    assert folder_digest(out) == folder_digest(tmp_path / "whole")


def dictionary_data(rows: int, d: int, latents: int, active: int) -> tuple[torch.Tensor, ...]:
    """Sums of `active` of `latents` random unit directions, with coefficients in 0.5 .. 1.5."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(latents, d, generator=generator)
    directions /= directions.norm(dim=1, keepdim=True)
    active_latents = torch.rand(rows, latents, generator=generator).topk(active).indices
    strength = torch.zeros(rows, latents)
    strength.scatter_(1, active_latents, torch.rand(rows, active, generator=generator) + 0.5)
    return strength @ directions, directions


def test_training_recovers_a_planted_dictionary_and_none_from_noise(tmp_path):
    data, directions = dictionary_data(64 * 1500, 32, 64, 3)
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(data.shape, generator=generator) * data.std()
    settings = {"architecture": "sae", "layer": 0, "input_hook": "resid_post", "width": 128, "k": 3}
    settings |= {"batch_tokens": 256, "optimizer": "adam", "learning_rate": 3e-3}
    settings |= {"lr_warmup_steps": 10, "auxk_alpha": 1 / 32, "dead_feature_threshold": 5000}
    match, fvu = {}, {}
    for name, values in {"planted": data, "noise": noise}.items():
        acts = synthetic(tmp_path / f"{name}-acts", values, context=64)
        (tmp_path / name).mkdir()
        fvu[name] = trainer.produce(settings, {"input_hook": acts}, tmp_path / name)["fvu"]
        learned = torch.nn.functional.normalize(load_coder(tmp_path / name).weights["W_dec"])
        match[name] = float((directions @ learned.T).max(1).values.mean())
    assert match["planted"] > 0.95, (match, fvu)
    assert match["noise"] < 0.7, (match, fvu)
    assert fvu["planted"] < 0.15 < 0.4 < fvu["noise"], fvu


def test_wrong_settings_and_activations_are_refused(world, tmp_path):
    wrong = [
        (SAE | {"k": 200}, "k = 200"),
        (SAE | {"colour": 1}, "colour"),
        (SAE | {"architecture": "crosscoder"}, "crosscoder"),
        (SAE | {"optimizer": "lion"}, "lion"),
        (SAE | {"weights": "frozen"}, "weights 'frozen' is none of trained, frozen-decoder"),
        (SAE | {"batch_tokens": 100}, "multiple"),
        (SAE | {"output_hook": "mlp_out"}, "sae must write the hook point it reads"),
        (TRANSCODER | {"output_hook": "mlp_in"}, "transcoder must write another hook point"),
        (SAE | {"layer": 2}, "needs layers.2.resid_post"),
        ({key: value for key, value in SAE.items() if key != "width"}, "width"),
    ]
    for settings, message in wrong:
        with pytest.raises(LedgerError, match=message):
            trainer.produce(settings, sides(world, settings), tmp_path)
    assert not any(tmp_path.iterdir())
    other = synthetic(
        tmp_path / "other", torch.randn(64, 32), context=16, hook_point="layers.1.mlp_out", shards=1
    )
    folders = {"input_hook": world["layers.1.mlp_in"], "output_hook": other}
    with pytest.raises(LedgerError, match="different token sets"):
        trainer.produce(SKIP, folders, tmp_path)
