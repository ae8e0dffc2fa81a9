"""When the ledger in results/ is not that of the configuration."""

import shutil

import pytest

from latent_ledger.ledger import ledger
from latent_ledger.lib.files import read_json, write_json
from latent_ledger.planning import graph, paths


@pytest.fixture
def complete(planted):
    """The ledger of a configuration whose manifests are all there, and how it is judged."""
    planted.write()
    jobs = graph.jobs(planted.config)
    for name in jobs:
        planted.at(name).parent.mkdir(parents=True, exist_ok=True)
        planted.at(name).touch()
    return lambda: ledger.why_outdated(planted.config, jobs, planted.root)


def test_ledger_of_this_configuration_is_not_outdated(complete):
    assert complete() is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"experiment": "other"}, "it is the ledger of another experiment"),
        ({"plan": "another fingerprint"}, "it was made from another configuration"),
        ({"plan": None}, "it was rendered after a run that failed"),
    ],
)
def test_ledger_of_another_configuration_is_outdated(complete, planted, change, reason):
    file = planted.root / "results/ledger.json"
    write_json(file, read_json(file) | change)
    assert complete() == reason


def test_ledger_that_was_written_by_hand_or_lost_its_figures_is_outdated(complete, planted):
    page = planted.root / "results/ledger.md"
    written = page.read_text()
    page.write_text("# A better ledger\n")
    assert complete() == "results/ledger.md is not the file that was written with ledger.json"
    page.write_text(written)
    shutil.rmtree(planted.root / "results/figures")
    assert complete() == "results/figures/ is not there"


def test_ledger_without_a_manifest_is_outdated(complete, planted):
    planted.at(paths.model()).unlink()
    assert complete() == "1 of its manifests are missing (model.json)"


def test_ledger_without_a_readable_ledger_json_is_outdated_and_none_is_not(complete, planted):
    (planted.root / "results/ledger.json").write_text("no JSON")
    assert complete() == "it has no readable ledger.json beside it"
    for name in ("ledger.json", "ledger.md"):
        (planted.root / "results" / name).unlink()
    assert complete() is None, "there is none to judge"
