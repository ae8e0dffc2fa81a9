"""Every configuration of the house gives a graph that holds together."""

import pytest

from latent_ledger.experiment import load
from latent_ledger.planning import graph
from latent_ledger.planning.registry import STAGES
from tests.project import PROJECT

EXPERIMENTS = {
    "tiny": ["config/tiny.yaml"],
    "gemma": ["config/config.yaml"],
    "micro": ["config/tiny.yaml", "tests/workflow/micro.yaml"],
}


@pytest.fixture(params=EXPERIMENTS)
def experiment(request):
    first, *overlays = (PROJECT / name for name in EXPERIMENTS[request.param])
    return load(first, overlays)


def test_run_ids_are_unique(experiment):
    ids = [row.run_id for row in graph.rows(experiment)]
    assert sorted(ids) == sorted(set(ids))


def test_every_row_rests_on_planned_jobs_and_has_a_reader(experiment):
    jobs = graph.jobs(experiment)
    kinds = {kind for stage in STAGES for kind in stage.readers}
    for row in graph.rows(experiment):
        assert row.manifest in jobs, row.run_id
        assert not set(row.needs) - set(jobs), row.run_id
        assert row.needs[-1] == row.manifest, f"{row.run_id}: its own manifest comes last"
        assert row.row_type in kinds, row.run_id


def test_every_job_has_a_script(experiment):
    for path, (rule, _) in graph.jobs(experiment).items():
        assert (PROJECT / f"workflow/scripts/{rule}.py").is_file(), path


def test_settings_survive_json(experiment):
    """Settings enter action keys: what JSON cannot hold, or changes, is no setting."""
    from latent_ledger.lib.numbers import canonical

    for path, (_, settings) in graph.jobs(experiment).items():
        assert canonical(settings) == settings, path


def test_a_kind_of_row_belongs_to_one_stage():
    kinds = [kind for stage in STAGES for kind in stage.readers]
    assert len(kinds) == len(set(kinds))
