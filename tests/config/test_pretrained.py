"""Coders that come trained: one instance each, measured as the others, compared by permission."""

from __future__ import annotations

import pytest

from latent_ledger.config.coder_specs import coder_specs, coders_measured_by, pairs
from latent_ledger.evaluations.headtohead import plan as headtohead
from latent_ledger.experiment import validate
from latent_ledger.planning import graph, paths
from tests.config.experiments import lines, put
from tests.ways import way

ENTRY = {
    "architecture": "sae",
    "layer": 2,
    "input_hook": "resid_post",
    "source": "google/gemma-scope-2b-pt-res",
}
FAMILY = "comparisons.families.reconstruction"


@pytest.fixture
def with_scope(tiny):
    tiny["coders"]["scope"] = ENTRY | {"path": "layer_2/width_16k/average_l0_82", "width": 1024}
    return tiny


def test_pretrained_coder_is_one_fetched_spec_of_its_name(with_scope):
    config = validate(with_scope)
    (spec,) = [spec for spec in coder_specs(config) if spec.pretrained]
    assert (spec.name, spec.k, spec.seed, spec.recipe) == ("scope", None, None, {})
    job = graph.jobs(config)[paths.coder("scope")]
    assert job.rule == "pretrained_coder"
    assert job.settings == {
        "architecture": "sae",
        "layer": 2,
        "input_hook": "resid_post",
        "output_hook": "resid_post",
        "width": 1024,
        "source": "google/gemma-scope-2b-pt-res",
        "path": "layer_2/width_16k/average_l0_82",
        "revision": None,
        "format": None,
    }


def test_lists_of_k_and_seeds_choose_among_trained_coders_only(with_scope):
    with_scope["evaluations"]["probing"]["select"] = {"k": [32], "seeds": [0]}
    with_scope["comparisons"] = {}
    names = [spec.name for spec in coders_measured_by(validate(with_scope), "probing")]
    assert names[-1] == "scope" and names[0] == "sae-resid-k32-s0" and len(names) == 5
    with_scope["evaluations"]["probing"]["select"]["coders"] = ["sae-resid"]
    assert len(coders_measured_by(validate(with_scope), "probing")) == 1


def test_rows_of_a_pretrained_coder_rest_on_its_file_and_no_training_text(with_scope):
    config = validate(with_scope)
    rows = {row.run_id: row for row in graph.rows(config)}
    assert way(rows["pretrained-scope"], config) == [paths.coder("scope")]
    assert paths.Tokens("coder") not in way(rows["recon-scope"], config)
    assert rows["recon-scope"].columns["sparsity"] == "as published"


def test_pretrained_coder_meets_every_spec_where_the_source_may_differ(with_scope):
    pair = [["scope", "sae-resid"]]
    put(with_scope, f"{FAMILY}.pairs", pair)
    assert lines(with_scope) == [
        f'{FAMILY}.pairs[0]: scope and sae-resid differ in source ("{ENTRY["source"]}", null); '
        "make them equal or add source to allow_unfair"
    ]
    put(with_scope, f"{FAMILY}.allow_unfair", ["source"])
    config = validate(with_scope)
    met = pairs(config, "reconstruction")
    assert [other.name for _, other in met] == [
        "sae-resid-k16-s0",
        "sae-resid-k16-s1",
        "sae-resid-k32-s0",
        "sae-resid-k32-s1",
    ]
    entries = headtohead.allowed_differences(config, "reconstruction")
    (entry,) = [entry for entry in entries if "source" not in entry][:1]
    assert entry["pair"] == ["scope", "sae-resid-k16-s0"] and "optimizer" in entry["fields"]
    assert "width" not in entry["fields"], "an unlike width is not covered by the source"


def test_pretrained_pair_of_unlike_width_is_unfair(with_scope):
    put(with_scope, f"{FAMILY}.pairs", [["scope", "sae-resid"]])
    put(with_scope, f"{FAMILY}.allow_unfair", ["source"])
    put(with_scope, "coders.scope.width", 512)
    assert "differ in width (512, 1024)" in lines(with_scope)[0]


def test_pretrained_pair_with_a_control_is_unfair_in_weights(with_scope):
    """The source covers a recipe, and not what a control learns."""
    with_scope["coders"]["sae-resid"]["weights"] = "random"
    put(with_scope, f"{FAMILY}.pairs", [["scope", "sae-resid"]])
    put(with_scope, f"{FAMILY}.allow_unfair", ["source"])
    assert any('differ in weights ("trained", "random")' in line for line in lines(with_scope))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("k", [32], "coders.scope.k: a coder with a source comes trained"),
        ("weights", "random", "coders.scope.weights: a coder with a source comes trained"),
        ("source", "embedded", 'coders.scope.source: "embedded" is no source of coders'),
        ("source", "./nowhere", 'coders.scope.source: the folder "./nowhere" does not exist'),
        ("format", "sae_lens", 'coders.scope.format: "sae_lens" is not one of gemma_scope'),
    ],
)
def test_pretrained_coder_with_keys_of_a_trained_one_is_refused(with_scope, key, value, message):
    with_scope["coders"]["scope"][key] = value
    problems = lines(with_scope)
    assert len(problems) == 1 and problems[0].startswith(message), problems


def test_trained_coder_with_a_path_is_refused(tiny):
    tiny["coders"]["sae-mlp"]["path"] = "layer_2"
    assert lines(tiny) == [
        "coders.sae-mlp.path: only goes with a source, from which the coder is fetched"
    ]


def test_a_repository_whose_name_tells_no_format_must_say_it(with_scope):
    with_scope["coders"]["scope"]["source"] = "somebody/sae-of-mine"
    assert lines(with_scope) == [
        "coders.scope.format: the format of the hub repository somebody/sae-of-mine cannot be told "
        "from its name: set `format` to one of gemma_scope, sparsify."
    ]
    with_scope["coders"]["scope"]["format"] = "sparsify"
    assert [
        spec.place["format"] for spec in coder_specs(validate(with_scope)) if spec.pretrained
    ] == ["sparsify"]
