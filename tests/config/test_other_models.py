"""Coders of further published models stand beside the experiment's own, and are kept apart."""

from __future__ import annotations

from copy import deepcopy

import pytest

from latent_ledger import experiment
from latent_ledger.config.coder_specs import coder_specs, coders_measured_by
from latent_ledger.experiment import validate
from latent_ledger.planning import graph, paths
from latent_ledger.planning.estimates import Planner
from latent_ledger.resources.architectures import published
from tests.config.experiments import FULL, lines, put
from tests.ways import way

PYTHIA = "EleutherAI/pythia-70m-deduped"
OTHER = {"source": PYTHIA, "tokens": {"coder": 1280, "evaluation": 640}}


@pytest.fixture
def beside(tiny):
    """The tiny experiment with a coder of a further model."""
    put(tiny, "model.others.pythia", deepcopy(OTHER))
    put(
        tiny,
        "coders.smoke",
        {"architecture": "sae", "layer": 5, "input_hook": "mlp_out", "model": "pythia"},
    )
    tiny["coders"]["smoke"] |= {"k": [8], "seeds": [0], "batch_tokens": 640}
    return tiny


def test_coder_of_another_model_reads_its_tokens_and_has_reconstruction_alone(beside):
    before = {key: value for key, value in beside.items() if key != "coders"}
    before["coders"] = {k: v for k, v in beside["coders"].items() if k != "smoke"}
    before["model"] = {k: v for k, v in beside["model"].items() if k != "others"}
    done = validate(beside)
    (smoke,) = [spec for spec in coder_specs(done) if spec.coder == "smoke"]
    assert (smoke.base, smoke.control, smoke.settings["unit_scale"]) == ("pythia", False, False)
    assert smoke in coders_measured_by(done, "reconstruction") and smoke not in coders_measured_by(
        done, "probing"
    )

    jobs, old = graph.jobs(done), graph.jobs(validate(before))
    assert {path: jobs[path] for path in old} == old, "nobody else's keys change"
    added = {path: jobs[path] for path in set(jobs) - set(old)}
    text = {"layout": "packed", "context": 64}
    tokens = added["tokens/coder@pythia.json"]
    assert tokens.settings == {**text, "budget": 1280, "part": "coder"}
    model = added["models/pythia.json"]
    assert (model.rule, model.settings) == ("language_model", {"source": PYTHIA, "revision": None})
    assert set(added) == {
        "models/pythia.json",
        "tokens/coder@pythia.json",
        "tokens/evaluation@pythia.json",
        "activations/coder@pythia/layers.5.mlp_out.json",
        "activations/evaluation@pythia/layers.5.mlp_out.json",
        "coders/smoke-k8-s0.json",
        "gates/reader/smoke-k8-s0.json",
        "gates/nulls/reconstruction/layers.5.mlp_out@pythia.json",
        "codes/evaluation/smoke-k8-s0.json",
        "reconstruction/smoke-k8-s0.json",
    }
    rows = {row.run_id: row for row in graph.rows(done)}
    corpus = {"corpus/coder.json", "corpus/evaluation.json"}
    assert set(way(rows["recon-smoke-k8-s0"], done)) == set(added) | corpus
    assert rows["train-smoke-k8-s0"].columns["model"] == PYTHIA
    assert rows["train-smoke-k8-s0"].columns["tokens"] == "1,280"


def test_jobs_of_another_model_are_sized_by_that_model():
    planner = Planner(experiment.load(FULL))
    for path in (
        "models/pythia-160m-deduped.json",
        "tokens/coder@pythia-160m-deduped.json",
        "activations/coder@pythia-160m-deduped/layers.3.resid_post.json",
        "coders/smoke-p160-sae-k32-s0.json",
        "gates/nulls/reconstruction/layers.3.mlp_out@pythia-160m-deduped.json",
    ):
        planned = planner.planned(path)
        assert planned.model == published()["EleutherAI/pythia-160m-deduped"], path
        assert planned.dtype == "float32"
    assert planner.planned("coders/smoke-p70-tc-k32-s0.json").tokens == 491_520
    assert planner.planned("codes/evaluation/smoke-p70-tc-k32-s0.json").tokens == 50_000
    assert planner.planned("coders/sae-rerandomised-k64-s0.json").tokens == 10_000_000


def test_model_without_coders_is_not_fetched(tiny):
    put(tiny, "model.others.pythia", OTHER)
    assert paths.model("pythia") not in graph.jobs(validate(tiny))


FAMILY = "comparisons.families.probing"
CASES = [
    (
        {"evaluations.probing.select": {"coders": ["sae-mlp", "smoke"]}, "comparisons": {}},
        [
            "evaluations.probing.select.coders[1]: smoke is of pythia, and only reconstruction "
            "measures coders of other models, not probing"
        ],
    ),
    (
        {f"{FAMILY}.pairs": [["sae-mlp", "smoke"]], f"{FAMILY}.allow_unfair": ["model"]},
        [
            f"{FAMILY}.pairs[0]: sae-mlp and smoke are of different models, original, pythia, "
            "which read different tokens; take the pair out"
        ],
    ),
    (
        {
            "coders.twin": {
                "architecture": "sae",
                "layer": 4,
                "input_hook": "mlp_out",
                "model": "pythia",
            }
        }
        | {"coders.twin.k": [8], "coders.twin.batch_tokens": 640, "coders.twin.seeds": [0]}
        | {f"{FAMILY}.pairs": [["twin", "smoke"]]},
        [
            f"{FAMILY}: smoke is of pythia, and only reconstruction measures coders of other "
            "models, not probing"
        ],
    ),
    (
        {"coders.smoke.batch_tokens": 100},
        ["coders.smoke.batch_tokens: 100 is not a multiple of tokens.context, 64; 128 would be"],
    ),
    (
        {"model.others.pythia.tokens.evaluation": 60},
        ["model.others.pythia.tokens.evaluation: 60 tokens do not fill one context of 64"],
    ),
    (
        {"model.others.pythia.source": "embedded"},
        [
            "model.others.pythia.source: another model is a published one; write a hub id or a "
            "folder"
        ],
    ),
    (
        {"model.others.original": OTHER},
        ["model.others.original: this name is taken by the model itself; choose another"],
    ),
    (
        {"model.randomised.pythia": {}},
        ["model.others.pythia: this name is taken by a re-randomised model; choose another"],
    ),
    (
        {"coders.smoke.model": "pythai", "coders.smoke.layer": 3},
        ['coders.smoke.model: unknown model "pythai"; did you mean "pythia"?'],
    ),
    ({"coders.smoke": "absent", "model.others": {"pythia": "absent"}}, []),
]


@pytest.mark.parametrize(("changes", "expected"), CASES, ids=lambda value: ",".join(value)[:60])
def test_contradiction_of_models_is_one_line(beside, changes, expected):
    for path, value in changes.items():
        put(beside, path, value)
    assert lines(beside) == expected


def test_layer_of_a_coder_is_checked_against_its_model(beside, tmp_path):
    (tmp_path / "config.json").write_text(
        '{"model_type": "gpt_neox", "num_hidden_layers": 5, "max_position_embeddings": 32}'
    )
    beside["model"]["others"]["pythia"] = OTHER | {"source": str(tmp_path)}
    assert lines(beside) == [
        "model.others.pythia: its context of 32 is shorter than tokens.context, 64",
        "coders.smoke.layer: 5 is beyond pythia, whose layers are 0 to 4",
    ]
