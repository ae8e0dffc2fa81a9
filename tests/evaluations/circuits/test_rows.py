"""Each number in a row of circuits, and in the section, is the metric it is said to be."""

import pytest

from latent_ledger.evaluations.circuits import rows
from latent_ledger.planning.stage import RowPlan
from tests.evaluations import made_up

ESTIMATES = {
    "gap_top5": 0.21,
    "gap_top5/actor": 0.24,
    "gap_top5/singer": 0.17,
    "accuracy_top5": 0.81,
    "auroc_top5": 0.89,
    "random_top5": 0.59,
    "leaked_top5": 0.82,
    "inflation_top5": 0.011,
    "tokens_top5": 0.62,
    "gap_tokens_top5": 0.19,
    "faithfulness_top5": 0.73,
    "ceiling_share_top5": 0.84,
    "gap_top10": 0.28,
    "gap_top10/actor": 0.31,
    "gap_top10/singer": 0.26,
    "accuracy_top10": 0.87,
    "auroc_top10": 0.93,
    "random_top10": 0.58,
    "leaked_top10": 0.88,
    "inflation_top10": 0.022,
    "tokens_top10": 0.67,
    "gap_tokens_top10": 0.20,
    "gap_matched_top5": 0.12,
    "ceiling": 0.96,
    "accuracy_raw": 0.97,
    "build_up_1": 0.71,
    "build_up_2": 0.85,
    "gain_1": 0.215,
    "gain_2": 0.14,
}
P_HOLM = {
    "gap_top5": 0.0041,
    "gap_top5/actor": 0.0052,
    "gap_top5/singer": 0.0463,
    "gap_top10": 0.0074,
    "gap_top10/actor": 0.0085,
    "gap_top10/singer": 0.6,
}
METRICS = made_up.metrics("example", ESTIMATES, p_holm=P_HOLM)
FACTS = {"headline": 5, "draws": 321}
LAYERS = {"hookpoint": "layers.1.resid_post + layers.2.resid_post"}
SIZES = (
    "top5=0.810 (84.0% of ceiling) vs random 0.590, gap +0.210 [+0.200, +0.230], leak +0.011; "
    "top10=0.870 (undefined share of ceiling) vs random 0.580, gap +0.280 [+0.270, +0.300], "
    "leak +0.022; ceiling 0.960 [0.950, 0.980], raw site 0.970 [0.960, 0.990]"
)
CONCEPTS = "gap at 5 by concept: actor +0.240 (Holm 0.0052), singer +0.170 (Holm 0.046)"
BUILD_UP = (
    "layers.1.resid_post 0.710 [0.700, 0.730] -> "
    "+ layers.2.resid_post 0.850 [0.840, 0.870] (gain +0.140 [+0.130, +0.160])"
)


def read(folder, row_type="circuits", run_id="circuit-sae-k8-s0"):
    row = RowPlan(run_id, row_type, "", LAYERS)
    return rows.read(row, made_up.payload(folder, METRICS, **FACTS))


def test_every_number_of_the_row_is_the_metric_before_it(tmp_path):
    finding = read(tmp_path)
    assert (finding.main["name"], finding.null) == ("gap_top5", 0.0)
    assert finding.metrics == METRICS
    assert finding.key_results == f"{SIZES}; {CONCEPTS} (n=10 examples)"
    assert finding.notes == (
        "Gap over random circuits that fire as often: +0.120 [+0.110, +0.140]. "
        "321 random circuits per concept and size; Holm over the sizes for all concepts together "
        "(p=0.0041 at 5), and over the concepts."
    )


def test_a_row_over_several_layers_states_their_build_up(tmp_path):
    finding = read(tmp_path, "multilayer_circuits")
    assert finding.key_results == (
        f"{SIZES}; build-up (5 per layer) {BUILD_UP}; {CONCEPTS} (n=10 examples)"
    )


def section(folder, alpha):
    single = made_up.shown("circuit-sae-k8-s0", "circuits", read(folder), alpha=alpha)
    several = made_up.shown(
        *("circuit-multilayer-residual", "multilayer_circuits", read(folder)),
        values=LAYERS,
        alpha=alpha,
    )
    return rows.section([single, several])


def test_every_cell_of_the_section_is_the_metric_above_it(tmp_path):
    text = section(tmp_path, 0.05)
    lines = [line for line in text.splitlines() if line.startswith(("| coder", "| `sae-k8-s0`"))]
    header, *cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    five, ten = (dict(zip(header, line, strict=True)) for line in cells)
    assert five == {
        "coder": "`sae-k8-s0`",
        "K": "5",
        "circuit": "0.810",
        "random": "0.590",
        "circuit - random": "+0.210 [+0.200, +0.230]",
        "p (Holm)": "0.0041",
        "concepts": "2/2",
        "share": "73.0%",
        "all latents": "0.960",
        "tokens": "0.620",
        "leak": "+0.011 [+0.001, +0.031]",
        "n": "10 examples",
    }
    assert ten == {
        "coder": "`sae-k8-s0`",
        "K": "10",
        "circuit": "0.870",
        "random": "0.580",
        "circuit - random": "+0.280 [+0.270, +0.300]",
        "p (Holm)": "0.0074",
        "concepts": "1/2",
        "share": "undefined",
        "all latents": "0.960",
        "tokens": "0.670",
        "leak": "+0.022 [+0.012, +0.042]",
        "n": "22 examples",
    }
    assert f"Build-up of `residual`: {BUILD_UP}." in text


@pytest.mark.parametrize(
    ("alpha", "counts"),
    [(0.05, ["2/2", "1/2"]), (0.01, ["1/2", "1/2"]), (0.001, ["0/2", "0/2"])],
)
def test_concepts_are_counted_below_the_ledgers_alpha(tmp_path, alpha, counts):
    text = section(tmp_path, alpha)
    for name in ("sae-k8-s0", "residual"):
        lines = [line for line in text.splitlines() if line.startswith(f"| `{name}`")]
        assert [line.split(" | ")[6] for line in lines] == counts
    assert f"*concepts* counts those below {alpha:g} after Holm's correction" in text
