"""Choice of the coefficient and contrasts of the reported half, on hand-made cells."""

from __future__ import annotations

import numpy as np
import pytest

from latent_ledger.evaluations.steering import outcomes
from latent_ledger.evaluations.steering.outcomes import BASELINE, Cell, choose
from latent_ledger.statistics import resampling
from latent_ledger.statistics.records import Records

N = 40
EVEN = np.arange(N) % 2 == 0


def cell(
    arm: str,
    coefficient: float,
    on_even: float,
    on_odd: float,
    ppl: float = 10,
    ppl_odd: float = 10,
) -> Cell:
    """A cell with these success rates and perplexities on generations of even and odd index."""
    rank = np.arange(N) // 2
    success = rank < np.where(EVEN, on_even, on_odd) * N / 2
    return Cell(arm, coefficient, success, success, np.where(EVEN, ppl, ppl_odd))


BASE = cell(BASELINE, 0.0, 0.5, 0.5)


def test_choose_takes_most_successful_fluent_coefficient():
    cells = [
        cell("latent", 0.5, 0.6, 0.6, 12),
        cell("latent", 1.0, 0.8, 0.8, 15),
        cell("latent", 2.0, 1.0, 1.0, 15.1),
    ]
    choice = choose(cells, BASE, 1.5)
    assert choice.cell is cells[1]
    assert choice.admissible == (0.5, 1.0)


def test_choose_ignores_reported_half():
    """Neither its success nor its perplexity: a look at it would reverse the choice."""
    cells = [
        cell("latent", 0.5, 0.6, 0.0, ppl=10, ppl_odd=99),
        cell("latent", 1.0, 0.5, 1.0, ppl=10),
        cell("latent", 2.0, 1.0, 1.0, ppl=16, ppl_odd=1),
    ]
    assert choose(cells, BASE, 1.5).cell is cells[0]


def test_choose_takes_smaller_coefficient_on_tie():
    cells = [cell("dom", value, 0.7, 0.7) for value in (0.5, 1.0, 2.0)]
    assert choose(cells, BASE, 1.5).cell is cells[0]


def test_choose_takes_harmful_coefficient_if_fluent():
    """Coefficient 0 is no candidate as long as another is fluent."""
    cells = [cell("random", 0.5, 0.1, 0.1), cell("random", 1.0, 0.0, 0.0)]
    assert choose(cells, BASE, 1.5).cell is cells[0]


def test_choose_without_fluent_coefficient_takes_baseline():
    choice = choose([cell("latent", 0.5, 1.0, 1.0, ppl=15.01)], BASE, 1.5)
    assert choice.cell is BASE
    assert choice.admissible == ()


def reported_cells(latent: float, dom: float, random: float) -> dict[str, Cell]:
    """The reported cells at these success rates on the reported half."""
    rates = {"latent": latent, "dom": dom, "random": random}
    return {arm: cell(arm, 1.0, 0.0, rate, ppl_odd=12) for arm, rate in rates.items()} | {
        BASELINE: BASE
    }


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> Records:
    """Two concepts: in one the latent wins over all, in the other nothing does anything."""
    records = Records(tmp_path_factory.mktemp("outcomes"), resamples=2000, seed=0)
    parts = [
        outcomes.outcome_rows("works", reported_cells(0.9, 0.5, 0.4)),
        outcomes.outcome_rows("idle", reported_cells(0.5, 0.5, 0.5)),
    ]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    records.table(outcomes.TABLE, columns)
    outcomes.record(records, ["works", "idle"])
    return records


def test_contrasts_are_differences_of_reported_success(records):
    estimates = {name: metric["estimate"] for name, metric in records.metrics.items()}
    assert estimates["success_latent"] == pytest.approx(0.7)
    assert estimates["success_baseline"] == pytest.approx(0.5)
    assert estimates["gap_dom"] == pytest.approx(0.2)
    assert estimates["gap_dom/works"] == pytest.approx(0.4)
    assert estimates["effect_latent/works"] == pytest.approx(0.4)
    assert estimates["gap_random/idle"] == estimates["effect_latent/idle"] == 0
    assert estimates["gap_dom_bag"] == estimates["gap_dom"]
    assert estimates["perplexity_ratio_latent"] == pytest.approx(1.2)
    assert records.metrics["gap_dom"]["n"] == N
    assert records.metrics["gap_dom/works"]["n"] == N / 2


def test_contrast_intervals_are_paired(records):
    """Generations that both arms win cancel out: the interval is that of the differences."""
    table = records.tables[outcomes.TABLE].to_pydict()
    works = np.array(table["concept"]) == "works"
    arms = [
        resampling.Values(np.array(table["unit_id"])[works], "mean", np.array(table[name])[works])
        for name in ("success_latent", "success_dom")
    ]
    contrast = resampling.compare(*arms, resamples=2000, seed=0, paired=True)
    metric = records.metrics["gap_dom/works"]
    assert metric["ci"] == pytest.approx([contrast.low, contrast.high])
    assert metric["p"] == contrast.p


def test_holm_families_are_concepts_and_undeclared_contrasts(records):
    metrics = records.metrics
    for name in ("gap_dom", "effect_latent"):
        p = [metrics[f"{name}/{concept}"]["p"] for concept in ("works", "idle")]
        adjusted = [metrics[f"{name}/{concept}"]["p_holm"] for concept in ("works", "idle")]
        assert adjusted == pytest.approx(resampling.holm(p))
    others = [name for name in outcomes.CONTRASTS if name != outcomes.DECLARED]
    expected = resampling.holm([metrics[name]["p"] for name in others])
    assert [metrics[name]["p_holm"] for name in others] == pytest.approx(expected)
    assert metrics["gap_dom"]["p_holm"] == metrics["gap_dom"]["p"]
    assert metrics["gap_dom/works"]["p_holm"] == 2 * metrics["gap_dom/works"]["p"]


def test_cell_rows_state_fluency_and_report():
    cells = [BASE, cell("latent", 0.5, 0.6, 0.7), cell("latent", 1.0, 0.9, 0.9, ppl=20)]
    rows = list(outcomes.cell_rows("c", cells, {BASELINE: BASE, "latent": cells[1]}, 1.5))
    assert [(row["arm"], row["coefficient"], row["half"]) for row in rows[:3]] == [
        (BASELINE, 0.0, "selection"),
        (BASELINE, 0.0, "reported"),
        ("latent", 0.5, "selection"),
    ]
    assert [row["success"] for row in rows] == pytest.approx([0.5, 0.5, 0.6, 0.7, 0.9, 0.9])
    assert [row["chosen"] for row in rows] == [True] * 4 + [False] * 2
    assert [row["fluent"] for row in rows] == [True] * 4 + [False, True]
    assert {row["n"] for row in rows} == {N // 2}
