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


def test_it_is_one_instance_named_as_the_coder_and_fetched(with_scope):
    config = validate(with_scope)
    (one,) = [one for one in coder_specs(config) if one.pretrained]
    assert (one.name, one.k, one.seed, one.recipe) == ("scope", None, None, {})
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
    names = [one.name for one in coders_measured_by(validate(with_scope), "probing")]
    assert names[-1] == "scope" and names[0] == "sae-resid-k32-s0" and len(names) == 5
    with_scope["evaluations"]["probing"]["select"]["coders"] = ["sae-resid"]
    assert len(coders_measured_by(validate(with_scope), "probing")) == 1


def test_its_rows_rest_on_its_own_file_and_not_on_training_text(with_scope):
    config = validate(with_scope)
    rows = {row.run_id: row for row in graph.rows(config)}
    assert way(rows["pretrained-scope"], config) == [paths.coder("scope")]
    assert paths.Tokens("coder") not in way(rows["recon-scope"], config)
    assert rows["recon-scope"].columns["sparsity"] == "as published"


def test_it_meets_every_instance_where_the_source_may_differ(with_scope):
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


def test_an_unlike_width_is_still_unfair(with_scope):
    put(with_scope, f"{FAMILY}.pairs", [["scope", "sae-resid"]])
    put(with_scope, f"{FAMILY}.allow_unfair", ["source"])
    put(with_scope, "coders.scope.width", 512)
    assert "differ in width (512, 1024)" in lines(with_scope)[0]


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
def test_what_a_pretrained_coder_cannot_be(with_scope, key, value, message):
    with_scope["coders"]["scope"][key] = value
    found = lines(with_scope)
    assert len(found) == 1 and found[0].startswith(message), found


def test_a_trained_coder_has_no_path(tiny):
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
    assert [one.place["format"] for one in coder_specs(validate(with_scope)) if one.pretrained] == [
        "sparsify"
    ]
