"""Each number in a row of sae_probes, and in the section, is the metric it is said to be."""

from latent_ledger.evaluations.sae_probes import rows
from latent_ledger.planning.stage import RowPlan
from tests.evaluations import made_up

METRICS = made_up.metrics(
    "data set",
    {
        "auroc_k16": 0.84,
        "gap_raw_k16": -0.07,
        "win_rate_k16": 0.15,
        "seed_sd_k16": 0.0123,
        "auroc_k1": 0.62,
        "gap_raw_k1": -0.29,
        "win_rate_k1": 0.04,
        "seed_sd_k1": 0.0345,
        "auroc_k2": 0.73,
        "gap_raw_k2": -0.18,
        "win_rate_k2": 0.08,
        "seed_sd_k2": 0.0234,
        "auroc_raw": 0.91,
    },
)
FACTS = {"seeds": [0, 1, 2], "hook_point": "layers.2.resid_post"}
ROW = RowPlan("saeprobes-sae-k8-s0", "sae_probes", "", {})


def test_every_number_of_the_row_is_the_metric_before_it(tmp_path):
    payload = made_up.payload(tmp_path, METRICS, **FACTS)
    finding = made_up.read(rows, ROW, payload, "auroc_k16", 0.5)
    assert finding.key_results == (
        "AUROC k=16 0.840 [0.830, 0.860] (n=10 data sets, mean of 3 seeds); "
        "k=1 0.620 [0.610, 0.640]; k=2 0.730 [0.720, 0.750]; "
        "logistic regression on raw 0.910 [0.900, 0.930]; "
        "k=16 - raw -0.070 [-0.080, -0.050], better on 15.0% of the data sets"
    )
    assert finding.notes.endswith("are left out. Seed sd 0.0123.")


def test_every_cell_of_the_section_is_the_metric_above_it(tmp_path):
    assert made_up.line(rows, ROW, made_up.payload(tmp_path, METRICS, **FACTS)) == {
        "k=1": "0.620 [0.610, 0.640]",
        "k=1 - raw": "-0.290 [-0.300, -0.270]",
        "k=1 wins": "4.0%",
        "k=2": "0.730 [0.720, 0.750]",
        "k=2 - raw": "-0.180 [-0.190, -0.160]",
        "k=2 wins": "8.0%",
        "k=16": "0.840 [0.830, 0.860]",
        "k=16 - raw": "-0.070 [-0.080, -0.050]",
        "k=16 wins": "15.0%",
        "raw": "0.910 [0.900, 0.930]",
        "n": "22 data sets",
    }
