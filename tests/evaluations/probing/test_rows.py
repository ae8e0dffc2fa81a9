"""Each number in a row of probing, and in the section, is the metric it is said to be."""

from latent_ledger.evaluations.probing import rows
from latent_ledger.planning.stage import RowPlan
from tests.evaluations import made_up

METRICS = made_up.metrics(
    "example",
    {
        "accuracy_top10": 0.72,
        "accuracy_all": 0.91,
        "auroc_all": 0.95,
        "accuracy_top1": 0.63,
        "accuracy_top1/actor": 0.64,
        "auroc_top1": 0.65,
        "accuracy_top2": 0.66,
        "accuracy_top5": 0.69,
        "accuracy_raw": 0.88,
        "accuracy_bag_of_tokens": 0.77,
        "gap_raw_all": 0.03,
        "gap_bag_all": 0.14,
        "gap_raw_all_auroc": 0.04,
    },
)
ROW = RowPlan("probe-sae-k8-s0", "probing", "", {})


def test_every_number_of_the_row_is_the_metric_before_it(tmp_path):
    payload = made_up.payload(tmp_path, METRICS)
    finding = made_up.read(rows, ROW, payload, "accuracy_all", 0.5)
    assert finding.key_results == (
        "accuracy 0.910 [0.900, 0.930], AUROC 0.950 [0.940, 0.970] (n=11 examples); "
        "sparse probes: k=1 0.630, k=2 0.660, k=5 0.690, k=10 0.720; "
        "raw site 0.880, bag of tokens 0.770; "
        "codes - raw +0.030 [+0.020, +0.050], codes - bag of tokens +0.140 [+0.130, +0.160]"
    )


def test_sizes_are_ordered_as_numbers():
    names = [
        "accuracy_all",
        "accuracy_top10",
        "accuracy_top2",
        "accuracy_top1",
        "accuracy_top3/actor",
        "auroc_top4",
    ]
    assert rows.sizes(names) == [1, 2, 10]


def test_every_cell_of_the_section_is_the_metric_above_it(tmp_path):
    assert made_up.line(rows, ROW, made_up.payload(tmp_path, METRICS)) == {
        "all latents": "0.910 [0.900, 0.930]",
        "top 1": "0.630 [0.620, 0.650]",
        "top 5": "0.690 [0.680, 0.710]",
        "AUROC": "0.950 [0.940, 0.970]",
        "codes - raw site": "+0.030 [+0.020, +0.050]",
        "codes - bag of tokens": "+0.140 [+0.130, +0.160]",
        "n": "11 examples",
    }
