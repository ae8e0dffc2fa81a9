"""Each number in a row of the memory plan, and in the section, is the metric it is said to be."""

from latent_ledger.evaluations.memory import rows
from latent_ledger.planning.stage import RowPlan
from tests.evaluations import made_up

METRICS = made_up.metrics(
    "GiB",
    {
        "weights": 14.1,
        "needed": 16.7,
        "kv_sequence": 0.3,
        "resident": 5.5,
        "total_L4": 22.0,
        "free_beside_model_L4": 16.1,
        "guard_L4": 19.8,
        "total_A100": 39.4,
        "free_beside_model_A100": 33.6,
        "guard_A100": 35.5,
    },
) + [
    # whether a scorer fits is 0 or 1, so these values come again
    {"name": f"fits_{place}_{gpu}", "estimate": fits, "ci": None, "unit": "", "n": 1}
    for place, gpu, fits in (
        ("beside_model", "L4", 0.0),
        ("alone", "L4", 1.0),
        ("beside_model", "A100", 1.0),
        ("alone", "A100", 0.0),
    )
]
FACTS = {
    "scorer": "acme/seven",
    "model": "acme/studied",
    "why": [
        {"gpu": "L4", "beside": "no share works", "alone": "0.85 of it works"},
        {"gpu": "A100", "beside": "0.5 of it works", "alone": "it is taken"},
    ],
}
ROW = RowPlan("memory-seven", "memory", "", {})


def test_every_number_of_the_row_is_the_metric_before_it(tmp_path):
    payload = made_up.payload(tmp_path, METRICS, **FACTS)
    finding = made_up.read(rows, ROW, payload, "needed", None)
    assert finding.key_results == (
        "needs 16.7 GiB; L4, beside acme/studied: no share works; L4, alone: 0.85 of it works; "
        "A100, beside acme/studied: 0.5 of it works; A100, alone: it is taken"
    )


def test_every_cell_of_the_section_is_the_metric_above_it(tmp_path):
    finding = rows.read(ROW, made_up.payload(tmp_path, METRICS, **FACTS))
    section = rows.section([made_up.shown(ROW.run_id, ROW.row_type, finding, facts=FACTS)])
    header, _, *lines = (line for line in section.splitlines() if line.startswith("| "))
    assert [cell.strip() for cell in header.strip("|").split("|")] == [
        *("scorer", "GPU", "needs, GiB", "of", "free beside the model, GiB", "alone")
    ]
    assert lines == [
        "| `acme/seven` | L4 | 16.7 | 22.0 | 16.1, does not fit | fits |",
        "| `acme/seven` | A100 | 16.7 | 39.4 | 33.6, fits | does not fit |",
    ]
