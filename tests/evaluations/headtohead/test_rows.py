"""Each number in a contrast's row is what it is said to be; what is missing is left out."""

import pytest

from latent_ledger.evaluations.headtohead import rows
from latent_ledger.planning.stage import RowPlan
from tests.evaluations import made_up

NAME = "recon.loss: a - b"
TESTS = {"p_welch": 0.013, "p_mannwhitney": 0.024}


def read(folder, **changes):
    (contrast,) = made_up.metrics("document", {NAME: 0.21})
    contrast |= {"p": 0.0035, "p_holm": 0.0046, "bca": [0.19, 0.24], "matched_on": None}
    contrast |= {"paired": True, "not_made": None, "unfair": []}
    contrast |= TESTS | changes
    row = RowPlan("h2h", "headtohead", "", {}, metric=NAME)
    return rows.read(row, made_up.payload(folder, [contrast]))


def test_every_number_of_the_row_is_the_one_before_it(tmp_path):
    finding = read(tmp_path)
    assert finding.key_results == (
        f"{NAME} = +0.210 [+0.200, +0.230] (paired, n=10 documents; p=0.0035, Holm 0.0046)"
    )
    assert finding.notes == "BCa [+0.190, +0.240]; Welch p=0.013; Mann-Whitney p=0.024."


UNFAIR = "The coders differ in width, as the configuration allows."


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({}, "Welch p=0.013; Mann-Whitney p=0.024."),
        ({"unfair": ["width"]}, f"Welch p=0.013; Mann-Whitney p=0.024. {UNFAIR}"),
        (dict.fromkeys(TESTS), ""),
        (dict.fromkeys(TESTS) | {"unfair": ["width"]}, UNFAIR),
    ],
)
def test_a_contrast_without_bca_interval_leaves_it_out(tmp_path, changes, notes):
    assert read(tmp_path, bca=None, **changes).notes == notes
