"""Each number in a row of latent statistics, and in the section, is the metric it is said to be."""

from latent_ledger.evaluations.latents import rows
from latent_ledger.planning.stage import RowPlan
from tests.evaluations import made_up

METRICS = made_up.metrics(
    "latent",
    {
        "normalised_entropy": 0.61,
        "token_entropy": 3.25,
        "token_share": 0.12,
        "top_token_share": 0.23,
        "context_dependence": 0.47,
        "live_share": 0.94,
        "frequency_p10": 0.001,
        "frequency_p50": 0.0321,
        "frequency_p90": 0.09,
    },
)
FACTS = {"corpus_entropy": 8.76, "live": 1001, "rare": 22, "dead": 33}
ROW = RowPlan("latents-sae-k8-s0", "latents", "", {})


def test_every_number_of_the_row_is_the_metric_before_it(tmp_path):
    payload = made_up.payload(tmp_path, METRICS, **FACTS)
    finding = made_up.read(rows, ROW, payload, "token_entropy", 8.76)
    assert finding.key_results == (
        "token entropy 3.250 [3.240, 3.270] bits (n=11 latents; the corpus has 8.76); "
        "token detectors 12.0% of live latents; context dependence 0.470 [0.460, 0.490]; "
        "top token 23.0% of firings; 1,001 live, 22 rare, 33 dead latents"
    )


def test_every_cell_of_the_section_is_the_metric_above_it(tmp_path):
    assert made_up.line(rows, ROW, made_up.payload(tmp_path, METRICS, **FACTS)) == {
        "token entropy (bits)": "3.25 [3.24, 3.27]",
        "normalised": "0.610 [0.600, 0.630]",
        "token detectors": "0.120 [0.110, 0.140]",
        "context dependence": "0.470 [0.460, 0.490]",
        "median frequency": "3.21%",
        "live": "94.0%",
        "n": "11 latents",
    }
