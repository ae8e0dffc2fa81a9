"""Training equals sparsify's step for step, and finds a planted dictionary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from sparsify import SparseCoder

from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.coders.training import trainer
from latent_ledger.coders.training.batches import Batches
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.models.hook_points import CoderSite
from tests.coders.formats.upstream import sparsify_losses
from tests.coders.shard_folders import synthetic
from tests.coders.training.recipes import SAE, SKIP, TRANSCODER, losses_of, sides
from tests.tiny_models import folder_digest

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
