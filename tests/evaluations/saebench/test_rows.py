"""Each number in a row of SAEBench, and in the section, is the metric it is said to be."""

from latent_ledger.evaluations.saebench import rows
from latent_ledger.planning.stage import RowPlan
from tests.evaluations import made_up

PROBED = made_up.metrics(
    "data set",
    {
        "top_1": 0.61,
        "llm_top_1": 0.55,
        "gap_1": 0.06,
        "top_5": 0.72,
        "llm_top_5": 0.64,
        "gap_5": 0.08,
        "top_1/40-20": 0.63,
        "llm_top_1/40-20": 0.57,
        "top_5/40-20": 0.74,
        "llm_top_5/40-20": 0.66,
        "top_1/occupations": 0.68,
        "top_1/languages": 0.54,
    },
)
PROBED_FACTS = {
    "sizes": ["60-40", "40-20"],
    "datasets": ["occupations", "languages"],
    "hook_point": "layers.2.resid_post",
}
CORE = made_up.metrics(
    "metric",
    {
        "l0/ours": 31.5,
        "l0/theirs": 31.6,
        "cossim/ours": 0.91,
        "cossim/theirs": 0.92,
        "ce_loss_score/ours": 0.83,
        "ce_loss_score/theirs": 0.84,
        "kl_div_with_sae/ours": 0.125,
        "kl_div_with_sae/theirs": 0.126,
        "explained_variance/ours": 0.71,
        "explained_variance/theirs": 0.99,
        "mse/ours": 0.42,
        "mse/theirs": 0.0042,
        "largest_difference": 0.000023,
    },
)
CORE_FACTS = {"wrong": ["explained_variance", "mse"], "tokens": 8_765}


def read_probing(folder):
    row = RowPlan("saebench-sae-k8-s0", "saebench", "", {})
    return rows.read_probing(row, made_up.payload(folder, PROBED, **PROBED_FACTS))


def read_core(folder):
    row = RowPlan("core-sae-k8-s0", rows.CORE, "", {})
    return rows.read_core(row, made_up.payload(folder, CORE, **CORE_FACTS))


def test_every_number_of_the_probing_row_is_the_metric_before_it(tmp_path):
    finding = read_probing(tmp_path)
    assert (finding.main["name"], finding.null) == ("top_1", 0.5)
    assert finding.metrics == PROBED
    assert finding.key_results == (
        "accuracy at 60-40 examples (n=10 data sets): "
        "k=1 0.610 [0.600, 0.630], hook point itself 0.550, gap +0.060 [+0.050, +0.080]; "
        "k=5 0.720 [0.710, 0.740], hook point itself 0.640, gap +0.080 [+0.070, +0.100]; "
        "at 40-20: k=1 0.630 (hook point 0.570), k=5 0.740 (hook point 0.660); "
        "k=1 by data set: occupations 0.680, languages 0.540"
    )


def test_every_number_of_the_cross_check_is_the_metric_before_it(tmp_path):
    finding = read_core(tmp_path)
    assert finding.main["name"] == "largest_difference"
    assert finding.metrics == CORE
    assert finding.key_results == (
        "largest relative difference 2.3e-05 over 22 metrics (n=8,765 tokens): "
        "l0 31.5, cossim 0.91, ce_loss_score 0.83, kl_div_with_sae 0.125; "
        "SAEBench is wrong in explained_variance (it says 0.99, true 0.71), "
        "mse (it says 0.0042, true 0.42)"
    )


def test_every_cell_of_the_section_is_the_metric_above_it(tmp_path):
    probed = made_up.shown("saebench-sae-k8-s0", "saebench", read_probing(tmp_path))
    checked = made_up.shown("core-sae-k8-s0", rows.CORE, read_core(tmp_path))
    table, cross_check = rows.section([probed, checked]).split("### ")
    assert made_up.headed(table, "sae-k8-s0") == {
        "top 1": "0.610 [0.600, 0.630]",
        "top 5": "0.720 [0.710, 0.740]",
        "gap, top 1": "+0.060 [+0.050, +0.080]",
        "gap, top 5": "+0.080 [+0.070, +0.100]",
        "n": "10 data sets",
    }
    assert made_up.headed(cross_check, "sae-k8-s0") == {
        "largest difference": "2.3e-05",
        "L0": "31.5 / 31.6",
        "cosine": "0.91 / 0.92",
        "CE score": "0.83 / 0.84",
        "KL": "0.125 / 0.126",
        "explained variance (wrong there)": "0.71 / 0.99",
        "MSE (wrong there)": "0.42 / 0.0042",
    }
