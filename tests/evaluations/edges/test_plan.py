"""Planned jobs and checks of causal edges."""

from __future__ import annotations

import pytest

from latent_ledger.evaluations.edges import plan as edges
from latent_ledger.experiment import ConfigError, load
from latent_ledger.planning import graph
from tests.project import PROJECT
from tests.ways import way

TINY = PROJECT / "config/tiny.yaml"


def with_groups(**groups):
    overlay = {"evaluations": {"edges": {"groups": {"residual": None, "random-middle": None}}}}
    overlay["evaluations"]["edges"]["groups"] = groups
    return load(TINY, [overlay])


def test_one_job_and_one_row_per_group():
    config = load(TINY)
    jobs = edges.jobs(config)
    assert set(jobs) == {f"edges/{name}.json" for name in config["evaluations"]["edges"]["groups"]}
    job = jobs["edges/residual.json"]
    settings = job.settings
    assert job.rule == "edges" and settings["group"] == "residual"
    assert not {"select", "groups"} & set(settings)
    row = edges.rows(config, jobs)[0]
    assert row.run_id == "edges-residual" and way(row, config)[-1] == row.manifest
    assert "coders/sae-resid-3-k32-s0.json" in way(row, config)
    assert row.columns["hookpoint"].startswith("layers.1.resid_post, layers.2.resid_post")


@pytest.mark.parametrize(
    ("coder", "kind"),
    [
        ("sae-resid", "sae"),
        ("sae-random", "random sae"),
        ("sae-rerandomised", "sae"),  # trained, on the model that the row names
    ],
)
def test_a_row_calls_its_coders_what_their_other_rows_call_them(coder, kind):
    above = load(TINY)["coders"][coder] | {"layer": 3}
    group = {"one": [f"{coder}-k32-s0", "above-k32-s0"]}
    config = load(TINY, [{"coders": {"above": above}, "evaluations": {"edges": {"groups": group}}}])
    rows = {row.run_id: row.columns for row in graph.rows(config)}
    columns, trained = rows["edges-one"], rows[f"train-{coder}-k32-s0"]
    assert columns["coder_type"] == f"graph ({kind})"
    assert (trained["coder_type"], trained["model"]) == (kind, columns["model"])


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        (["sae-resid-1-k32-s0", "sae-resid-k33-s0"], "unknown coder"),
        (["sae-resid-k32-s0", "sae-mlp-k32-s0"], "layer 2 has several"),
        (["sae-resid-1-k32-s0", "sae-random-model-k32-s0"], "different models"),
    ],
)
def test_invalid_groups_are_refused(members, complaint):
    with pytest.raises(ConfigError, match=complaint) as error:
        with_groups(bad=members)
    assert "evaluations.edges.groups.bad" in str(error.value)


def test_select_that_leaves_out_a_member_is_refused():
    with pytest.raises(ConfigError, match="left out by evaluations.edges.select"):
        load(TINY, [{"evaluations": {"edges": {"select": {"coders": ["sae-resid"]}}}}])
