"""Planned jobs, checks, rows and section of circuits."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest

from latent_ledger.config.reading import read_yaml
from latent_ledger.evaluations.circuits import plan as circuits
from latent_ledger.evaluations.circuits import rows as circuits_rows
from latent_ledger.experiment import ConfigError, load, validate
from latent_ledger.ledger.verdicts import verdict
from latent_ledger.lib.files import read_json
from latent_ledger.planning import paths
from latent_ledger.planning.stage import RowPlan
from tests.evaluations.circuits.planted import Planted
from tests.project import PROJECT
from tests.ways import way

TINY = PROJECT / "config/tiny.yaml"
CROSSING = {"residual": {"coders": ["low-k8-s0", "sae-k8-s0"], "top_k": [2], "headline_k": 2}}


@pytest.fixture
def config() -> dict:
    """The tiny experiment, cut down to two SAEs at layers 1 and 2, one of them measured alone."""
    tiny = copy.deepcopy(read_yaml(TINY))
    tiny["coders"] = {
        "low": {"architecture": "sae", "layer": 1, "input_hook": "resid_post"},
        "sae": {"architecture": "sae", "layer": 2, "input_hook": "resid_post"},
    }
    tiny["training"] |= {"k": [8], "seeds": [0], "width": 64}
    tiny["evaluations"] = {
        "probing": tiny["evaluations"]["probing"],
        "circuits": {
            "select": {"coders": ["sae"]},
            "top_k": [5, 10],
            "draws": 150,
            "multilayer": CROSSING,
        },
    }
    tiny["comparisons"] = {}
    del tiny["references"]
    return tiny


def test_jobs_have_the_inputs_of_their_coders(config):
    config = validate(config)
    jobs = circuits.jobs(config)
    assert set(jobs) == {"circuits/sae-k8-s0.json", "multilayer_circuits/residual.json"}
    across = jobs["multilayer_circuits/residual.json"]
    settings = across.settings
    assert across.rule == "multilayer_circuits"
    assert (settings["top_k"], settings["headline_k"], settings["draws"]) == ([2], 2, 150)
    assert settings["concepts"] == config["evaluations"]["probing"]["concepts"]
    assert across.inputs == {
        "tokens": paths.Tokens("probing"),
        "raw1": "activations/probing/layers.1.resid_post.json",
        "codes1": "codes/probing/low-k8-s0.json",
        "raw2": "activations/probing/layers.2.resid_post.json",
        "codes2": "codes/probing/sae-k8-s0.json",
    }
    rows = {row.run_id: row for row in circuits.rows(config, jobs)}
    assert set(rows) == {"circuit-sae-k8-s0", "circuit-multilayer-residual"}
    across = rows["circuit-multilayer-residual"]
    assert across.columns["hookpoint"] == "layers.1.resid_post + layers.2.resid_post"
    assert across.columns["width"] == "64 + 64" and across.columns["sparsity"] == "k=8"
    assert way(across, config)[-1] == across.manifest == "multilayer_circuits/residual.json"
    assert len(way(across, config)) == len(set(way(across, config)))
    assert {"codes/probing/low-k8-s0.json", "coders/sae-k8-s0.json"} <= set(way(across, config))


def test_tiny_experiment_has_circuit_sizes_of_reference_ledger():
    config = load(TINY)
    block = config["evaluations"]["circuits"]
    assert block["top_k"] == [5, 10, 20, 50] and block["draws"] >= 100
    assert all(circuit["top_k"] == [3, 5, 10] for circuit in block["multilayer"].values())
    assert len(config["evaluations"]["probing"]["concepts"]) >= 5
    assert len(circuits.multilayer_coders(config)["residual"]) == 3


@pytest.mark.parametrize(
    "change, message",
    [
        ({"headline_k": 20}, "circuits.headline_k: 20 is not among the sizes in top_k: 5, 10"),
        ({"top_k": [5, 10, 65]}, "circuits.top_k[2]: 65 latents exceed the width of sae-k8-s0, 64"),
        (
            {"draws": 100},
            "circuits.draws: 100 random circuits cannot bring 6 Holm-corrected tests ",
        ),
        (
            {
                "multilayer": {
                    "residual": CROSSING["residual"] | {"coders": ["low-k8-s0", "see-k8-s0"]}
                }
            },
            'coders[1]: unknown coder "see-k8-s0"; did you mean "sae-k8-s0"?',
        ),
        (
            {
                "multilayer": {
                    "residual": CROSSING["residual"] | {"coders": ["sae-k8-s0", "low-k8-s0"]}
                }
            },
            "layers must rise from coder to coder; these are at 2, 1",
        ),
        (
            {"multilayer": {"residual": CROSSING["residual"] | {"headline_k": 3}}},
            "multilayer.residual.headline_k: 3 is not among the sizes in top_k: 2",
        ),
    ],
)
def test_invalid_circuit_settings_are_refused(config, change, message):
    config["evaluations"]["circuits"] |= change
    with pytest.raises(ConfigError) as error:
        validate(config)
    (line,) = error.value.lines
    assert message in line


def test_too_few_draws_are_refused_with_fewest_that_pass(config):
    config["evaluations"]["circuits"]["draws"] = 100
    with pytest.raises(ConfigError, match="at least 120 can"):
        validate(config)
    config["evaluations"]["circuits"]["draws"] = 120
    validate(config)


def test_circuit_over_several_models_is_refused(config):
    config["model"]["randomised"] = {"rerandomised": {}}
    config["coders"]["low"]["model"] = "rerandomised"
    with pytest.raises(ConfigError, match="these coders are of several models"):
        validate(config)


def test_circuits_without_probing_are_refused(config):
    del config["evaluations"]["probing"]
    with pytest.raises(ConfigError, match="needs the concepts of evaluations.probing"):
        validate(config)


def row_of(out: Path, row_type: str, hookpoint: str, run_id: str):
    """A row's finding from a measured folder, and the row as the ledger's sections see it."""
    plan = RowPlan(run_id, row_type, "", {"hookpoint": hookpoint})
    facts = read_json(out / "metrics.json")["facts"]
    finding = circuits_rows.read(plan, SimpleNamespace(folder=lambda: out, facts=facts))
    row = SimpleNamespace(
        run_id=run_id,
        row_type=row_type,
        metrics=finding.metrics,
        values={"hookpoint": hookpoint},
        alpha=0.05,
    )
    return finding, row


def test_rows_state_sizes_concepts_and_build_up(tmp_path):
    world = Planted(width=80)
    world.layers = [slice(0, 40), slice(40, 80)]
    world.plant([45, 61, 70], rate=0.8, quiet=0.1)
    world.run(tmp_path / "two", top_k=[2, 4], headline_k=4)
    world.layers = [slice(0, 80)]
    world.run(tmp_path / "one")
    single, first = row_of(tmp_path / "one", "circuits", "layers.2.resid_post", "circuit-sae-k8-s0")
    across, second = row_of(
        tmp_path / "two",
        "multilayer_circuits",
        "layers.1.resid_post + layers.2.resid_post",
        "circuit-multilayer-residual",
    )
    assert single.main["name"] == "gap_top5" and single.null == 0.0
    assert verdict(single.main, null=single.null, alpha=0.05) == "novel"
    for text in ("top5=0.", "top10=0.", "% of ceiling) vs random 0.", "actor +0.", "singer +0."):
        assert text in single.key_results
    assert "60 random circuits" in single.notes and "fire as often" in single.notes
    assert "build-up (4 per layer) layers.1.resid_post 0." in across.key_results
    assert "-> + layers.2.resid_post 0." in across.key_results

    text = circuits_rows.section([first, second])
    assert text.count("| `sae-k8-s0` |") == 2 and text.count("| `residual` |") == 2
    assert "| 2/2 |" in text and "### Across layers" in text
    assert "Build-up of `residual`: layers.1.resid_post 0." in text
    assert circuits_rows.section([]) == ""


def test_row_at_chance_is_inconclusive_with_undefined_share(tmp_path):
    world = Planted(("actor",))
    world.plant([3, 4], rate=0.9, quiet=0.1)
    (task,) = world.tasks
    task.train_labels[:] = 1 - task.train_labels  # all latents mislead
    world.run(tmp_path)
    finding, row = row_of(tmp_path, "circuits", "layers.2.resid_post", "circuit-sae-k8-s0")
    assert "undefined share of ceiling" in finding.key_results
    assert "| undefined |" in circuits_rows.section([row])

    nothing = Planted(("actor",), train=60, test=60)
    nothing.run(tmp_path / "nothing")
    finding, _ = row_of(tmp_path / "nothing", "circuits", "x", "circuit-sae-k8-s0")
    assert verdict(finding.main, null=finding.null, alpha=0.05) == "inconclusive"
