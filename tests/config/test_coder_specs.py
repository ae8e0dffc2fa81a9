"""From coders to instances: who is trained, who is measured, and who meets whom."""

from __future__ import annotations

from latent_ledger.config.coder_specs import coder_specs, coders_measured_by, pairs
from latent_ledger.experiment import validate


def test_tiny_specs_and_pairs_are_the_declared_ones(tiny):
    config = validate(tiny)
    names = [spec.name for spec in coder_specs(config)]
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
    met = [(spec.name, opponent.name) for spec, opponent in pairs(config, "probing")]
    assert len(met) == 12
    assert met[0] == ("skip-transcoder-k16-s0", "transcoder-k16-s0")


def test_family_select_limits_the_specs_compared(tiny):
    tiny["comparisons"]["families"]["probing"]["select"] = {"k": [32], "seeds": [1]}
    met = pairs(validate(tiny), "probing")
    assert [(spec.name, opponent.name) for spec, opponent in met] == [
        ("skip-transcoder-k32-s1", "transcoder-k32-s1"),
        ("skip-transcoder-k32-s1", "sae-mlp-k32-s1"),
        ("sae-resid-k32-s1", "skip-transcoder-k32-s1"),
    ]


def test_a_coder_keeps_its_own_recipe_and_shares_the_rest(tiny):
    tiny["coders"]["sae-mlp"] |= {"k": [4], "seeds": [7], "width": 64, "optimizer": "adam"}
    tiny["comparisons"] = {}
    every = coder_specs(validate(tiny))
    mlp_specs = [spec for spec in every if spec.coder == "sae-mlp"]
    assert [spec.name for spec in mlp_specs] == ["sae-mlp-k4-s7"]
    assert mlp_specs[0].settings["width"] == 64
    assert mlp_specs[0].settings["optimizer"] == "adam"
    assert mlp_specs[0].settings["batch_tokens"] == 1024
    assert {spec.settings["optimizer"] for spec in every if spec.coder != "sae-mlp"} == {"signum"}


def test_specs_of_controls_are_marked_as_controls(tiny):
    tiny["model"]["randomised"] = {"untrained": {}}
    tiny["coders"]["on-noise"] = {"architecture": "transcoder", "layer": 2, "model": "untrained"}
    tiny["coders"]["frozen"] = tiny["coders"]["sae-resid"] | {"weights": "frozen-decoder"}
    config = validate(tiny)
    assert config["model"]["randomised"] == {"untrained": {"keep": "embeddings", "seed": 0}}
    every = coder_specs(config)
    assert {spec.coder for spec in every if spec.control} == {"on-noise", "frozen"}
    last = {spec.coder: spec for spec in every}
    assert last["frozen"].settings["weights"] == "frozen-decoder"
    assert last["on-noise"].settings["unit_scale"]
    assert not last["frozen"].settings["unit_scale"]
    assert "model" not in last["on-noise"].settings  # its activations say which model they are of


def test_evaluation_measures_the_coders_its_select_names(tiny):
    assert coders_measured_by(validate(tiny), "probing") == coder_specs(validate(tiny))
    tiny["comparisons"] = {}
    tiny["evaluations"]["probing"]["select"] = {"coders": ["transcoder", "sae-mlp"], "k": [32]}
    config = validate(tiny)
    assert [spec.name for spec in coders_measured_by(config, "probing")] == [
        "sae-mlp-k32-s0",
        "sae-mlp-k32-s1",
        "transcoder-k32-s0",
        "transcoder-k32-s1",
    ]
    assert len(coders_measured_by(config, "reconstruction")) == 16
    assert coders_measured_by(config, "steering") == []
