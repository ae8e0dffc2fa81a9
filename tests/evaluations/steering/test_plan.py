"""Planned jobs, checks, rows and section of steering."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from latent_ledger import experiment
from latent_ledger.evaluations.steering import plan as steering
from latent_ledger.evaluations.steering import rows
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.planning import graph
from latent_ledger.planning.paths import Activations
from tests.project import PROJECT
from tests.ways import way

TINY = PROJECT / "config/tiny.yaml"
STEERED = ("sae-resid-k32-s0", "skip-transcoder-k32-s0")


def load(**overlay) -> dict:
    return experiment.load(TINY, [{"evaluations": {"steering": overlay}}])


@pytest.fixture(scope="module")
def config() -> dict:
    return load()


def test_every_steered_coder_has_a_job_and_a_row(config):
    jobs = steering.jobs(config)
    assert list(jobs) == [f"steering/{name}.json" for name in STEERED]
    for job in jobs.values():
        assert job.rule == "steering"
        assert not {"select", "judge_layer"} & set(job.settings)
        assert job.settings["model_dtype"] == config["model"]["dtype"]
    rows = steering.rows(config, jobs)
    assert [row.run_id for row in rows] == [f"steer-{name}" for name in STEERED]
    planned = graph.jobs(config)
    for row in rows:
        assert way(row, config)[-1] == row.manifest
        assert not set(way(row, config)) - set(planned)


def test_judge_hook_point_is_equal_for_coders_of_one_layer(config):
    residual = HookPoint(2, "resid_post")
    judged = {job.inputs["judged"] for job in steering.jobs(config).values()}
    assert judged == {Activations("probing", residual)}
    elsewhere = {job.inputs["judged"] for job in steering.jobs(load(judge_layer=3)).values()}
    assert elsewhere == {Activations("probing", HookPoint(3, "resid_post"))}


def test_further_protocol_adds_a_row_and_changes_no_other(config):
    coarse = {"coders": ["sae-resid"], "prompts": ["My favorite"], "coefficients": [2, 4, 8]}
    varied = load(variants={"coarse": coarse})
    plain, jobs = steering.jobs(config), steering.jobs(varied)
    (path,) = set(jobs) - set(plain)
    assert path == f"steering_variants/coarse/{STEERED[0]}.json"
    assert {name: jobs[name] for name in plain} == plain, "keys of the block's own jobs stay"
    common = plain[f"steering/{STEERED[0]}.json"].settings
    changed = {"prompts": ["My favorite"], "coefficients": [2.0, 4.0, 8.0]}
    assert (jobs[path].rule, jobs[path].settings) == ("steering", common | changed)
    row = steering.rows(varied, jobs)[-1]
    assert row.run_id == f"steer-{STEERED[0]}-coarse"
    assert row.columns["tokens"].endswith("coefs[2,4,8]xRMS")


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"variants": {"x": {"concepts": ["atlete"]}}}, 'variants.x.concepts[0]: "atlete" is no'),
        ({"variants": {"x": {"coders": ["sae-mlp"]}}}, 'variants.x.coders[0]: "sae-mlp" is not st'),
        ({"variants": {"x": {"batch": 3}}}, "variants.x.batch: unknown key"),
        ({"concepts": ["atlete"]}, 'no concept of evaluations.probing; did you mean "athlete"?'),
        ({"new_tokens": 63}, "at most 62 leave room for one"),
        ({"judge_layer": 4}, "beyond the model, whose layers are 0 to 3"),
        ({"generations": 7}, "evaluations.steering.generations"),
        ({"coefficients": [0]}, "evaluations.steering.coefficients"),
    ],
)
def test_invalid_steering_settings_are_refused(overlay, message):
    with pytest.raises(experiment.ConfigError) as caught:
        load(**overlay)
    assert message in str(caught.value)


def test_coder_that_writes_mlp_input_is_refused():
    overlay = {"coders": {"sae-resid": {"input_hook": "mlp_in", "output_hook": "mlp_in"}}}
    with pytest.raises(experiment.ConfigError, match="sae-resid writes mlp_in"):
        experiment.load(TINY, [overlay])


def test_row_states_prompt_latent_and_coefficients(config):
    def metric(name: str, estimate: float) -> dict:
        half = {"ci": [estimate - 0.1, estimate + 0.1], "p_holm": 0.03}
        return {"name": name, "estimate": estimate, "unit": "generation", "n": 144, **half}

    values = {
        **dict.fromkeys(("success_latent", "success_dom", "success_random"), 0.6),
        "success_baseline": 0.5,
        "gap_dom": -0.06,
        "gap_dom_bag": -0.02,
        **dict.fromkeys(("effect_latent", "gap_random", "gap_dom_random"), 0.2),
    }
    values["judge_accuracy/researcher"] = 0.65
    metrics = [metric(name, value) for name, value in values.items()]
    concept = {
        "prompt": "He",
        "latent": 7,
        "bag_accuracy": 0.64,
        "baseline_perplexity": 88.0,
        "coefficients": {"latent": 0.0, "dom": 0.5, "random": 1},
    }
    facts = {"steered_at": "layers.2.mlp_out", "judged_at": "layers.2.resid_post", "rms": 22.6}
    facts |= {"perplexity_cap": 1.5, "concepts": {"researcher": concept}}
    row = steering.rows(config, {})[0]
    payload = SimpleNamespace(facts=facts, folder=lambda: None)
    original, rows.metrics_of = rows.metrics_of, lambda _: metrics
    try:
        finding = rows.read(row, payload)
    finally:
        rows.metrics_of = original
    assert finding.main["name"] == "gap_dom"
    assert finding.null == 0.0
    assert "-0.060 [-0.160, +0.040] (n=144 generations)" in finding.key_results
    assert "Holm p=0.03" in finding.key_results
    assert "latent 7, coefficients latent 0 (none admissible)" in finding.notes
    assert "difference of means 0.5" in finding.notes
    assert "judge right on 0.650 [0.550, 0.750] of test examples (bag" in finding.notes
    weak = {"judge_accuracy/researcher": metric("judge_accuracy/researcher", 0.55)}
    assert "no better than chance" in rows.concept_line("researcher", concept, weak)
    columns = {"model": "a model"}
    current = [
        SimpleNamespace(row_type="steering", metrics=metrics, run_id=row.run_id, values=columns)
    ]
    assert "| `sae-resid-k32-s0` |" in rows.section(current)
    assert rows.section([]) == ""
