"""What a reference row costs: every job on its way once, and nothing that another row needs."""

import pytest

from latent_ledger.experiment import load
from latent_ledger.ledger.row_costs import jobs_by_record, page, row_costs
from latent_ledger.planning import graph, paths
from latent_ledger.planning.estimates import Planner
from latent_ledger.resources import bill
from latent_ledger.resources.prices import prices
from tests.config.experiments import FULL
from tests.project import PROJECT
from tests.ways import way

README = PROJECT / "README.md"


@pytest.fixture(scope="module")
def config():
    return load(FULL)


def test_every_reference_row_has_its_cost(config):
    costs = {row.run_id: row for row in row_costs(config, prices())}
    assert list(costs) == list(config["references"])
    assert all(0 <= row.adds <= row.alone + 1e-9 for row in costs.values())
    assert costs["ai-g2-7b-ATTEMPT"].gpus == (), "the planner answers it, without a GPU"
    assert "A100-40GB" in costs["recon-g2-sae"].gpus
    assert costs["repro-001"].adds == costs["repro-001"].alone, "nobody paid for it before"


def test_row_whose_jobs_another_row_has_adds_nothing(config):
    """Two names of one measurement: the second is free, the sum is that of the first."""
    entry = config["references"]["repro-001"]
    twice = {**config, "references": {"repro-001": entry, "again": entry}}
    first, again = row_costs(twice, prices())
    assert again.alone == first.alone > 0 and again.adds == 0


def test_a_capture_is_paid_once_however_many_taps_it_writes(config):
    jobs = graph.jobs(config)
    row = next(
        row for row in graph.rows(config, jobs) if row.run_id == "train-skip-transcoder-k64-s0"
    )
    captures = [path for path in way(row, config) if path.startswith("activations/coder/")]
    assert len(captures) > 1 and len({jobs[path].record for path in captures}) == 1


def test_the_readme_has_the_table_of_today(config):
    readme = README.read_text(encoding="utf-8").splitlines()
    missing = [line for line in page(config, prices()).splitlines() if line not in readme]
    assert not missing, "print it with: latent-ledger costs config/config.yaml"


def test_the_readme_says_what_all_of_it_costs(config):
    """Jobs, GPU-hours and dollars of the dry run, as the README has them."""
    planner = Planner(config)
    items = jobs_by_record(planner, [*planner.jobs, paths.LEDGER[0]]).values()
    hours = sum(item.seconds for item in items if item.gpus) / 3600
    readme = " ".join(README.read_text(encoding="utf-8").split())
    assert f"expects {len(items)} jobs, {hours:.0f} hours of GPU" in readme
    assert f"**${bill.total(items, prices()):.0f}**" in readme
    assert bill.total(items, prices()) < config["budget_usd"], "the documented run must start"
