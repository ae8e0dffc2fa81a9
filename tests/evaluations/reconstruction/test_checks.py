"""Slices of the corpus: planned jobs, and checks of the coders measured on them."""

from __future__ import annotations

import pytest

from latent_ledger.experiment import validate
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.planning import graph, paths
from tests.config.experiments import lines, put
from tests.ways import way


@pytest.fixture
def sliced(tiny):
    tiny["coders"]["scope"] = {
        "architecture": "sae",
        "layer": 1,
        "input_hook": "resid_post",
        "source": "google/gemma-scope-2b-pt-res",
    }
    put(tiny, "corpus.slices", {"first-64": {"documents": 64, "context": 32}})
    put(tiny, "evaluations.reconstruction.slices", {"first-64": ["scope"]})
    put(tiny, "evaluations.reconstruction.select", {"coders": ["sae-resid"]})
    tiny["comparisons"] = {}
    return tiny


def test_slice_is_a_separate_token_set(sliced):
    config = validate(sliced)
    jobs, path = graph.jobs(config), "reconstruction_slices/first-64/scope.json"
    first = jobs[paths.corpus_slice("first-64")]
    settings = first.settings
    assert (settings["documents"], settings["source"]) == (64, "embedded")
    tokens = jobs[paths.Tokens("first-64")]
    assert tokens.settings == {"layout": "examples", "keep": "beginning", "context": 32}
    assert jobs[path].rule == "reconstruction" and "slices" not in jobs[path].settings
    assert paths.Codes("first-64", "scope") in jobs
    row = next(row for row in graph.rows(config) if row.run_id == "recon-scope-on-first-64")
    assert row.columns["dataset"] == "embedded[:64]"
    gate = paths.gate("nulls", f"reconstruction/{HookPoint(1, 'resid_post')}")
    assert gate in way(row, config) and gate in jobs, (
        "the null of a hook point that only the slice measures"
    )
    assert paths.evaluation("reconstruction", "scope") not in jobs


def test_slice_without_coders_is_not_drawn(sliced):
    put(sliced, "evaluations.reconstruction.slices", {})
    assert paths.corpus_slice("first-64") not in graph.jobs(validate(sliced))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (
            "evaluations.reconstruction.slices",
            {"first-64": ["sae-resid-k32-s0"]},
            "evaluations.reconstruction.slices.first-64[0]: sae-resid-k32-s0 is trained on "
            "documents of this corpus",
        ),
        (
            "evaluations.reconstruction.slices",
            {"first-46": ["scope"]},
            'evaluations.reconstruction.slices.first-46: unknown slice "first-46"; did you mean',
        ),
        (
            "evaluations.reconstruction.slices",
            {"first-64": ["scoep"]},
            "evaluations.reconstruction.slices.first-64[0]: unknown coder",
        ),
        (
            "corpus.slices",
            {"first-64": {"documents": 64, "context": 128}},
            "corpus.slices.first-64.context: 128 is longer than the model's context of 64",
        ),
        (
            "corpus.slices",
            {
                "first-64": {"documents": 64, "context": 32},
                "probing": {"documents": 1, "context": 8},
            },
            "corpus.slices.probing: this name is taken by a token set",
        ),
    ],
)
def test_invalid_slices_are_refused(sliced, key, value, expected):
    put(sliced, key, value)
    (line,) = lines(sliced)
    assert line.startswith(expected), line
