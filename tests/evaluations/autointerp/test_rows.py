"""Each number in a row of auto-interp, and in the section, is the metric it is said to be."""

import pytest

from latent_ledger.evaluations.autointerp import rows
from latent_ledger.ledger.verdicts import verdict
from latent_ledger.planning.stage import RowPlan
from tests.evaluations import made_up

METRICS = made_up.metrics(
    "latent",
    {
        "detection_it": 0.81,
        "detection_it_adjusted": 0.79,
        "detection_it_auroc": 0.88,
        "detection_it_unread": 0.015,
        "fuzzing_it": 0.72,
        "fuzzing_it_unread": 0.025,
        "fuzzing_matched_it": 0.67,
        "fuzzing_matched_it_adjusted": 0.65,
        "fuzzing_matched_it_unread": 0.035,
        "intruder_it": 0.43,
        "intruder_it_adjusted": 0.41,
        "intruder_it_unread": 0.045,
    },
)
SCORED = {"scored": 10}
FACTS = {
    "scorer_or_encoder": "it",
    "examples_shown": 5,
    "requested": 40,
    "statuses": {
        "detection_it": {"never fires": 3, "scored": 10, "too few windows": 4},
        "fuzzing_it": SCORED,
        "fuzzing_matched_it": SCORED,
        "intruder_it": {"never fires": 7, "scored": 19},
    },
    "extrapolated": ["fuzzing_matched_it"],
}
COLUMNS = {"coder_type": "eval (auto-interp, scorer: it (no model), sae)"}
SCORES = (
    "detection 0.810 [0.800, 0.830], AUROC 0.880 (frequency-adjusted 0.790); "
    "fuzzing 0.720 [0.710, 0.740]; "
    "fuzzing matched 0.670 [0.660, 0.690] (frequency-adjusted 0.650, extrapolated); "
    "intruder 0.430 [0.420, 0.450] (frequency-adjusted 0.410)"
)


def read(folder, metric, metrics=METRICS, **facts):
    row = RowPlan("ai-sae-k8-s0-it", "autointerp", "", COLUMNS, metric=metric)
    return rows.read(row, made_up.payload(folder, metrics, **(FACTS | facts)))


def test_every_number_of_the_row_is_the_metric_before_it(tmp_path):
    finding = read(tmp_path, "detection_it")
    assert (finding.main["name"], finding.null) == ("detection_it", 0.5)
    assert finding.metrics == METRICS
    assert finding.key_results == (
        f"{SCORES}; n=10 latents of 40, dropped: 3 never fires, 4 too few windows; "
        "unread answers 1.5% of 13 prompts; scorer: it (no model)"
    )


def test_a_row_whose_main_score_is_another_counts_that_one(tmp_path):
    finding = read(tmp_path, "intruder_it")
    assert finding.main["name"] == "intruder_it"
    assert finding.key_results == (
        f"{SCORES}; n=19 latents of 40, dropped: 7 never fires; "
        "unread answers 4.5% of 21 prompts; scorer: it (no model)"
    )


def test_every_cell_of_the_section_is_the_metric_above_it(tmp_path):
    finding = read(tmp_path, "detection_it")
    section = rows.section([made_up.shown("ai-sae-k8-s0-it", "autointerp", finding)])
    assert made_up.headed(section, "sae-k8-s0-it") == {
        "detection": "0.810 [0.800, 0.830]",
        "fuzzing": "0.720 [0.710, 0.740]",
        "fuzzing, matched": "0.670 [0.660, 0.690]",
        "intruder": "0.430 [0.420, 0.450]",
        "embedding": "",
        "first, frequency-adjusted": "0.790",
        "n": "10 latents",
    }


@pytest.mark.parametrize(
    ("shown", "estimate", "label"),
    [
        (5, 0.195, "inconclusive"),  # [0.185, 0.215] includes a fifth
        (5, 0.43, "novel"),
        (5, 0.5, "novel"),  # chance of the other scores, far above that of intruders
        (2, 0.495, "inconclusive"),
        (4, 0.245, "inconclusive"),
        (4, 0.195, "novel"),
    ],
)
def test_intruders_are_judged_against_one_in_the_number_shown(tmp_path, shown, estimate, label):
    metrics = made_up.metrics("latent", {"intruder_it": estimate, "intruder_it_unread": 0.0})
    statuses = {"intruder_it": SCORED}
    finding = read(
        *(tmp_path, "intruder_it", metrics),
        examples_shown=shown,
        statuses=statuses,
    )
    assert finding.null == pytest.approx(1 / shown)
    assert verdict(finding.main, null=finding.null, alpha=0.05) == label
