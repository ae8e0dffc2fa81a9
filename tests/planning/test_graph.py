"""Every configuration of the house gives a graph that holds together."""

import copy

import pytest

from latent_ledger.experiment import load
from latent_ledger.planning import graph, paths
from latent_ledger.planning.registry import STAGES
from latent_ledger.planning.stage import Evaluation
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
    row_types = {row_type for stage in STAGES for row_type in stage.readers}
    for row in graph.rows(experiment, jobs):
        assert row.manifest in jobs, row.run_id
        assert not set(row.closest) - set(jobs), row.run_id
        assert graph.manifests_behind(row, jobs)[-1] == row.manifest, (
            f"{row.run_id}: its manifest is last"
        )
        assert row.row_type in row_types, row.run_id


def test_every_job_is_upstream_of_a_row(experiment):
    """So every failure has a row that names it: the corpus, concepts and texts fail first."""
    jobs = graph.jobs(experiment)
    needed = {
        name for row in graph.rows(experiment, jobs) for name in graph.manifests_behind(row, jobs)
    }
    assert set(jobs) == needed


def test_inputs_come_before_the_job_that_takes_them(experiment):
    seen = set()
    for name, job in graph.jobs(experiment).items():
        assert set(job.manifests()) <= seen, name
        seen.add(name)


def test_every_rule_of_the_graph_has_one_cost(experiment):
    rules = [rule for stage in STAGES for rule in stage.costs]
    assert len(rules) == len(set(rules))
    assert {job.rule for job in graph.jobs(experiment).values()} <= set(rules)


def test_names_that_many_jobs_take_survive_a_copy(experiment):
    for name in graph.jobs(experiment):
        again = copy.deepcopy(name)
        assert again == name and vars(again) == vars(name) if type(name) is not str else True


def test_every_job_has_a_script(experiment):
    for name, job in graph.jobs(experiment).items():
        assert (PROJECT / f"workflow/scripts/{job.rule}.py").is_file(), name


def test_settings_survive_json(experiment):
    """Settings enter action keys: what JSON cannot hold, or changes, is no setting."""
    from latent_ledger.lib.numbers import canonical

    for name, job in graph.jobs(experiment).items():
        assert canonical(job.settings) == job.settings, name


def test_a_row_type_belongs_to_one_stage():
    row_types = [row_type for stage in STAGES for row_type in stage.readers]
    assert len(row_types) == len(set(row_types))


def test_evaluations_take_the_token_set_and_the_gates_that_they_declare(experiment):
    """A gate that is declared stands before a job, and no other gate does."""
    gates = (paths.NullsGate, paths.SaelensGate)  # that of the loader is the gate of all codes
    jobs = graph.jobs(experiment).values()
    for stage in STAGES:
        if not isinstance(stage, Evaluation):
            continue
        measured = [job for job in jobs if job.rule in stage.costs and job.coders]
        taken = {type(name) for job in measured for name in job.manifests() if type(name) in gates}
        assert not measured or taken == set(stage.gates), stage.name
        if stage.token_set is None:
            of_tokens = (paths.Tokens, paths.Activations, paths.Codes)
            assert not [
                name for job in measured for name in job.manifests() if type(name) in of_tokens
            ]
        assert not measured or (stage.token_set or "") in {job.token_set for job in measured}, (
            stage.name
        )
