"""References name rows and metrics that the experiment will have."""

from __future__ import annotations

import pytest

from latent_ledger.experiment import ConfigError, load, validate
from tests.config.experiments import lines
from tests.project import PROJECT

TINY = PROJECT / "config/tiny.yaml"
ROW = "recon-sae-resid-k32-s0"
MEASURED = {"row": ROW, "metric": "variance_explained", "value": 0.8, "tolerance": 0.02}


def with_reference(tiny, name="repro-001", **changes):
    tiny["references"] = {name: {"measurements": [MEASURED | changes]}}
    return tiny


def test_reference_is_completed_by_defaults(tiny):
    entry = validate(with_reference(tiny))["references"]["repro-001"]
    assert entry == {
        "said": "",
        "date": "",
        "label": "",
        "note": "",
        "measurements": [MEASURED],
        "history": [],
    }


def test_the_row_of_an_entry_may_be_its_own_id(tiny):
    assert lines(with_reference(tiny, name=ROW, row=None)) == []


def test_a_metric_may_be_about_one_concept(tiny):
    probed = {"row": "probe-sae-resid-k32-s0", "metric": "accuracy_all/athlete"}
    assert lines(with_reference(tiny, **probed)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"row": "recon-sae-residd-k32-s0"},
            'measurements[0].row: the ledger has no row "recon-sae-residd-k32-s0"; did you mean '
            '"recon-sae-resid-k32-s0"? Or take the entry out: references: {repro-001: absent}',
        ),
        ({"row": None}, 'measurements[0]: the ledger has no row "repro-001"; known: '),
        (
            {"metric": "varianceexplained"},
            'measurements[0].metric: reconstruction has no metric "varianceexplained"; did you '
            'mean "variance_explained"?',
        ),
        (
            {"tolerance": None},
            "measurements[0].tolerance: missing; a reported value and its tolerance go together",
        ),
        ({"value": None}, "measurements[0].value: missing; a reported value"),
        ({"tolerance": -1}, "measurements[0].tolerance: -1 is below the least value 0"),
        ({"metrik": "x"}, 'measurements[0].metrik: unknown key; did you mean "metric"?'),
    ],
)
def test_reference_that_cannot_be_measured_is_one_line(tiny, changes, expected):
    (line,) = lines(with_reference(tiny, **changes))
    assert line.startswith(f"references.repro-001.{expected}"), line


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("model", "language_model"),
        ("model-rerandomised", "randomised_model"),
        ("pareto", "pareto"),
        ("seed-variance", "seeds"),
    ],
)
def test_a_value_for_a_row_without_a_main_metric_needs_a_metric(row, kind):
    def loaded(**measurement):
        return load(TINY, [{"references": {"x": {"measurements": [{"row": row, **measurement}]}}}])

    with pytest.raises(ConfigError) as error:
        loaded(value=0.8, tolerance=0.1)
    assert error.value.lines == [
        f"references.x.measurements[0].metric: {kind} has no main metric: name one, or leave out "
        "value and tolerance"
    ]
    loaded()


def test_a_value_may_be_that_of_the_metric_that_decides_the_row(tiny):
    assert lines(with_reference(tiny, metric=None)) == []


def test_references_are_checked_after_all_other_problems(tiny):
    """Rows cannot be planned from a configuration that has problems of its own."""
    with_reference(tiny, row="nowhere")
    tiny["coders"]["sae-mlp"]["model"] = "nobody"
    tiny["comparisons"] = {}
    assert [line.partition(":")[0] for line in lines(tiny)] == ["coders.sae-mlp.model"]


def test_an_overlay_takes_out_one_entry_or_all(tiny):
    with_reference(tiny, row="nowhere")
    tiny["references"]["repro-001"] = "absent"
    assert validate(tiny)["references"] == {}
    assert validate(tiny | {"references": "absent"})["references"] == {}
