"""Each number in a row of causal edges, and in the section, is the metric it is said to be."""

from latent_ledger.evaluations.edges import rows
from latent_ledger.planning.stage import RowPlan
from tests.evaluations import made_up

ESTIMATES = {
    "edge_gap": 1.31,
    "task_accuracy": 0.87,
    "edge_spearman": 0.64,
    "faithfulness_area": 0.72,
    "faithfulness_area_random": 0.33,
    "faithfulness_gap": 0.39,
    "completeness_area": 0.21,
    "completeness_area_random": 0.58,
    "completeness_gap": -0.37,
    "cmd": 0.16,
    "cmd_random": 0.44,
    "at_stake": 2.75,
    "edge/1": 3.05,
    "edge/2": -2.15,
}
ENDS = {"edge/1": "latent 3 -> latent 5", "edge/2": "latent 4 -> latent 6"}
FACTS = {
    "dropped": {"unequal length": 2, "unknown word": 5},
    "coders": ["low", "high"],
    "error_share": {"high": 0.45, "low": 0.32},
    "kept_nodes": 98,
    "nodes": 7_654,
}
ROW = RowPlan("edges-residual", "edges", "", {})
TASK = "task accuracy 0.870 [0.860, 0.890] (n=11 prompts)"
NOTES = (
    "Error nodes hold 32.0%, 45.0% of the absolute effect; 98 of 7,654 nodes in the graph, "
    "7 template pairs left out."
)


def read(folder, **changes):
    metrics = made_up.metrics("prompt", ESTIMATES | changes, description=ENDS)
    return metrics, rows.read(ROW, made_up.payload(folder, metrics, **FACTS))


def text(task):
    return (
        "ablating a top edge costs +1.310 [+1.300, +1.330] logits more than a random one "
        "(n=10 prompts); weight against ablation, Spearman 0.640 [0.630, 0.660] (n=12 prompts); "
        f"{task}; "
        "faithfulness area 0.720 [0.710, 0.740] (random 0.330), "
        "completeness area 0.210 [0.200, 0.230] (random 0.580), "
        "CMD 0.160 [0.150, 0.180] (random 0.440)"
    )


def test_every_number_of_the_row_is_the_metric_before_it(tmp_path):
    metrics, finding = read(tmp_path)
    assert (finding.main["name"], finding.null) == ("edge_gap", 0.0)
    assert finding.metrics == metrics
    assert finding.key_results == text(TASK)
    assert finding.notes == NOTES


def test_an_unsolved_task_makes_its_accuracy_the_main_metric(tmp_path):
    _, finding = read(tmp_path, task_accuracy=0.505)
    assert (finding.main["name"], finding.null) == ("task_accuracy", 0.5)
    task = "task accuracy 0.505 [0.495, 0.525] (n=11 prompts)"
    assert finding.key_results == f"at chance: {text(task)}"


def test_every_cell_of_the_section_is_the_metric_above_it(tmp_path):
    _, finding = read(tmp_path)
    section = rows.section([made_up.shown(ROW.run_id, ROW.row_type, finding)])
    header = next(line for line in section.splitlines() if line.startswith("| group"))
    names = [cell.strip() for cell in header.strip("|").split("|")][1:]
    assert list(zip(names, made_up.cells(section, "residual"), strict=True)) == [
        ("task accuracy", "0.870 [0.860, 0.890]"),
        ("top - random edges", "+1.310 [+1.300, +1.330]"),
        ("weight vs ablation (Spearman)", "0.640 [0.630, 0.660]"),
        ("faithfulness area", "0.720 [0.710, 0.740]"),
        ("- random", "0.390 [0.380, 0.410]"),
        ("completeness area", "0.210 [0.200, 0.230]"),
        ("- random", "-0.370 [-0.380, -0.350]"),
        ("CMD", "0.160 [0.150, 0.180]"),
        ("verdict", "novel"),
    ]
    assert section.splitlines()[-2:] == [
        "* latent 3 -> latent 5: +3.050 [+3.040, +3.070]",
        "* latent 4 -> latent 6: -2.150 [-2.160, -2.130]",
    ]
