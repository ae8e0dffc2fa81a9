"""From coders to instances: who is trained, who is measured, and who meets whom."""

from __future__ import annotations

from latent_ledger.config.coder_specs import (
    coder_specs,
    coders_measured_by,
    pairs,
)
from latent_ledger.experiment import validate


def test_tiny_instances_and_pairs(tiny):
    config = validate(tiny)
    names = [one.name for one in coder_specs(config)]
    assert len(names) == len(set(names)) == 16
    assert names[:5] == [
        "sae-resid-k16-s0",
        "sae-resid-k16-s1",
        "sae-resid-k32-s0",
        "sae-resid-k32-s1",
        "sae-mlp-k16-s0",
    ]
    last = coder_specs(config)[-1]
    assert last.name == "skip-transcoder-k32-s1"
    assert last.settings == {
        "architecture": "skip-transcoder",
        "layer": 2,
        "input_hook": "mlp_in",
        "output_hook": "mlp_out",
        "width": 1024,
        "k": 32,
        "seed": 1,
        "weights": "trained",
        "unit_scale": False,
        "batch_tokens": 1024,
        "optimizer": "signum",
        "learning_rate": None,
        "auxk_alpha": 0.0,
        "dead_feature_threshold": 10_000_000,
        "checkpoint_steps": 200,
    }
    assert hash(last) == hash(coder_specs(config)[-1])
    assert (last.model, last.control) == ("original", False)
    met = [(one.name, other.name) for one, other in pairs(config, "probing")]
    assert len(met) == 12
    assert met[0] == ("skip-transcoder-k16-s0", "transcoder-k16-s0")


def test_at_limits_the_instances_compared(tiny):
    tiny["comparisons"]["families"]["probing"]["select"] = {"k": [32], "seeds": [1]}
    met = pairs(validate(tiny), "probing")
    assert [(one.name, other.name) for one, other in met] == [
        ("skip-transcoder-k32-s1", "transcoder-k32-s1"),
        ("skip-transcoder-k32-s1", "sae-mlp-k32-s1"),
        ("sae-resid-k32-s1", "skip-transcoder-k32-s1"),
    ]


def test_a_coder_keeps_its_own_recipe_and_shares_the_rest(tiny):
    tiny["coders"]["sae-mlp"] |= {"k": [4], "seeds": [7], "width": 64, "optimizer": "adam"}
    tiny["comparisons"] = {}
    every = coder_specs(validate(tiny))
    own = [one for one in every if one.coder == "sae-mlp"]
    assert [one.name for one in own] == ["sae-mlp-k4-s7"]
    assert own[0].settings["width"] == 64
    assert own[0].settings["optimizer"] == "adam"
    assert own[0].settings["batch_tokens"] == 1024
    assert {one.settings["optimizer"] for one in every if one.coder != "sae-mlp"} == {"signum"}


def test_controls_are_instances_that_know_it(tiny):
    tiny["model"]["randomised"] = {"untrained": {}}
    tiny["coders"]["on-noise"] = {"architecture": "transcoder", "layer": 2, "model": "untrained"}
    tiny["coders"]["frozen"] = tiny["coders"]["sae-resid"] | {"weights": "frozen-decoder"}
    config = validate(tiny)
    assert config["model"]["randomised"] == {"untrained": {"keep": "embeddings", "seed": 0}}
    every = coder_specs(config)
    assert {one.coder for one in every if one.control} == {"on-noise", "frozen"}
    last = {one.coder: one for one in every}
    assert last["frozen"].settings["weights"] == "frozen-decoder"
    assert last["on-noise"].settings["unit_scale"]
    assert not last["frozen"].settings["unit_scale"]
    assert "model" not in last["on-noise"].settings  # its activations say which model they are of


def test_an_evaluation_measures_what_its_at_names(tiny):
    assert coders_measured_by(validate(tiny), "probing") == coder_specs(validate(tiny))
    tiny["comparisons"] = {}
    tiny["evaluations"]["probing"]["select"] = {"coders": ["transcoder", "sae-mlp"], "k": [32]}
    config = validate(tiny)
    assert [one.name for one in coders_measured_by(config, "probing")] == [
        "sae-mlp-k32-s0",
        "sae-mlp-k32-s1",
        "transcoder-k32-s0",
        "transcoder-k32-s1",
    ]
    assert len(coders_measured_by(config, "reconstruction")) == 16
    assert coders_measured_by(config, "steering") == []
