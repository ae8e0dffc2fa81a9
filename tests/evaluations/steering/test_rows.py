"""Each number in a row of steering, and in the section, is the metric it is said to be."""

from latent_ledger.evaluations.steering import rows
from latent_ledger.planning.stage import RowPlan
from tests.evaluations import made_up

METRICS = made_up.metrics(
    "generation",
    {
        "gap_dom": 0.11,
        "success_latent": 0.61,
        "success_dom": 0.52,
        "success_random": 0.43,
        "success_baseline": 0.34,
        "effect_latent": 0.27,
        "gap_random": 0.18,
        "gap_dom_random": 0.09,
        "gap_dom_bag": 0.05,
        "judge_accuracy/actor": 0.77,
        "judge_accuracy/singer": 0.45,
    },
    p_holm={"effect_latent": 0.011, "gap_random": 0.022, "gap_dom_random": 0.033},
)
FACTS = {
    "steered_at": "layers.2.mlp_out",
    "judged_at": "layers.3.resid_post",
    "rms": 22.6,
    "perplexity_cap": 1.5,
    "concepts": {
        "actor": {
            "prompt": "He",
            "latent": 7,
            "baseline_perplexity": 88.1,
            "bag_accuracy": 0.641,
            "coefficients": {"latent": 0.25, "dom": 0.5, "random": 0.75},
        },
        "singer": {
            "prompt": "She",
            "latent": 9,
            "baseline_perplexity": 99.2,
            "bag_accuracy": 0.652,
            "coefficients": {"latent": 1.0, "dom": 2.0, "random": 0},
        },
    },
}
ROW = RowPlan("steer-sae-k8-s0", "steering", "", {})


def test_every_number_of_the_row_is_the_metric_before_it(tmp_path):
    payload = made_up.payload(tmp_path, METRICS, **FACTS)
    finding = made_up.read(rows, ROW, payload, "gap_dom", 0.0)
    assert finding.key_results == (
        "latent - difference of means +0.110 [+0.100, +0.130] (n=10 generations); "
        "success: latent 0.610 [0.600, 0.630], difference of means 0.520 [0.510, 0.540], "
        "random 0.430 [0.420, 0.450], unsteered 0.340 [0.330, 0.360]; "
        "latent - unsteered +0.270 [+0.260, +0.290] (Holm p=0.011), "
        "latent - random +0.180 [+0.170, +0.200] (Holm p=0.022), "
        "difference of means - random +0.090 [+0.080, +0.110] (Holm p=0.033); "
        "bag-of-tokens judge: latent - difference of means +0.050 [+0.040, +0.070]"
    )
    assert finding.notes == (
        "Steered at layers.2.mlp_out (RMS 22.6), judged at layers.3.resid_post; "
        "perplexity at most 1.5 x unsteered. "
        "actor: prompt 'He' (perplexity 88.1), latent 7, coefficients latent 0.25, "
        "difference of means 0.5, random 0.75, judge right on 0.770 [0.760, 0.790] of test "
        "examples (bag of tokens 0.641); "
        "singer: prompt 'She' (perplexity 99.2), latent 9, coefficients latent 1, "
        "difference of means 2, random 0 (none admissible), judge right on 0.450 [0.440, 0.470] "
        "of test examples, no better than chance (bag of tokens 0.652)."
    )


def test_every_cell_of_the_section_is_the_metric_above_it(tmp_path):
    assert made_up.line(rows, ROW, made_up.payload(tmp_path, METRICS, **FACTS)) == {
        "latent": "0.610 [0.600, 0.630]",
        "difference of means": "0.520 [0.510, 0.540]",
        "random": "0.430 [0.420, 0.450]",
        "unsteered": "0.340",
        "latent - unsteered": "+0.270 [+0.260, +0.290]",
        "latent - diff. of means": "+0.110 [+0.100, +0.130]",
        "latent - random": "+0.180 [+0.170, +0.200]",
        "n": "10 generations",
    }
