"""References: what others reported beside what this ledger measured."""

from types import SimpleNamespace

from latent_ledger.ledger import references
from latent_ledger.ledger.row import COLUMNS
from latent_ledger.lib.files import write_json
from tests.ledger.planted import CODER, METRICS, RECONSTRUCTION, RUN, metric


def entry(*measurements, **more):
    """A completed entry of `references`: (row, reported variance explained, tolerance)..."""
    keys = ("row", "value", "tolerance")
    measured = [
        dict(zip(keys, measurement, strict=True), metric="variance_explained")
        for measurement in measurements
    ]
    blank = {"said": "", "date": "", "label": "", "note": "", "history": []}
    return {**blank, "measurements": measured, **more}


def test_a_reference_decides_the_verdict(planted):
    name = f"recon-{CODER}"
    for value, label in ((0.71, "reproduced"), (0.8, "not reproduced")):
        planted.config["references"] = {name: entry((None, value, 0.02))}
        assert planted.row().label == label


def test_a_reference_of_another_id_is_a_row_that_needs_all_its_values_to_hold(planted):
    name = f"recon-{CODER}"
    quote = {"said": "VE=0.71", "date": "2026-06-21", "label": "inconclusive"}
    for second, label in ((0.72, "reproduced"), (0.9, "not reproduced")):
        both = entry((name, 0.71, 0.02), (name, second, 0.03), **quote)
        planted.config["references"] = {"repro-001": both}
        row = planted.row("repro-001")
        assert (row.label, row.row_type) == (label, "reference")
        assert row.values["run_id"] == "repro-001"
        assert tuple(row.values) == COLUMNS
        assert "Reference of 2026-06-21: VE=0.71 (inconclusive)." in row.values["notes"]
        assert (
            "0.700 [0.600, 0.800] (n=9 documents), reported 0.71 ± 0.02: holds"
            in (row.values["key_results"])
        )
        assert planted.row().label == "novel", "the measured row keeps its own verdict"
    text = (planted.root / "results/ledger.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("| `repro-001` | inconc"))
    assert line.endswith("| 0.71 ± 0.02 | 0.700 [0.600, 0.800] | 9 documents | yes |")


def test_a_reference_without_a_value_is_a_counterpart(planted):
    planted.config["references"] = {"repro-001": entry((f"recon-{CODER}", None, None))}
    assert planted.row("repro-001").label == "novel"


def test_a_reference_whose_row_has_no_number_has_its_reason(planted):
    path = "coders/sae-mlp-k8-s0.json"
    record = {**RUN, "status": "failed", "reason": "hook-point parity: layers.1.mlp_out differs"}
    write_json(planted.at(f"records/{path}"), record)
    both = entry((f"recon-{CODER}", 0.7, 0.1), ("recon-sae-mlp-k8-s0", 0.7, 0.1))
    planted.config["references"] = {"repro-001": both}
    row = planted.row("repro-001")
    assert (row.label, row.values["key_results"]) == ("failed", "")
    assert "recon-sae-mlp-k8-s0: not run, because" in row.values["notes"]
    planted.code["reconstruction"] = "edited"
    planted.config["references"] = {"repro-001": entry((f"recon-{CODER}", 0.7, 0.1))}
    assert planted.row("repro-001").label == "stale"


def test_reference_to_an_unmeasured_metric_is_failed_and_breaks_nothing(planted):
    wrong = entry((f"recon-{CODER}", 0.7, 0.1))
    wrong["measurements"][0]["metric"] = "variance_explaned"
    planted.config["references"] = {"repro-001": wrong}
    row = planted.row("repro-001")
    assert row.label == "failed" and "nearest is 'variance_explained'" in row.values["notes"]


def test_a_value_for_a_row_without_a_main_metric_is_failed_and_never_novel(planted):
    for value, label in ((999, "failed"), (None, "novel")):
        measured = entry(("model", value, None if value is None else 0.1))
        measured["measurements"][0]["metric"] = None
        planted.config["references"] = {"repro-001": measured}
        row = planted.row("repro-001")
        assert row.label == label
        reason = "not run: model: model has no main metric: name one in `metric`."
        assert row.values["notes"].startswith(reason) == (value is not None)


def test_versions_that_their_author_withdrew_are_superseded_rows_of_the_same_id(planted):
    old = {"date": "2026-06-20", "said": "VE=0.2", "reason": "b_dec was not subtracted"}
    planted.config["references"] = {"repro-001": entry((f"recon-{CODER}", 0.7, 0.1), history=[old])}
    for _ in range(2):
        rows = [row for row in planted.write() if row.run_id == "repro-001"]
        assert [row.label for row in rows] == ["reproduced", "superseded"]
    assert rows[1].values["key_results"] == "reference: VE=0.2"
    assert rows[1].values["notes"].endswith("b_dec was not subtracted")


def test_a_contrast_that_could_not_be_made_gives_its_reference_the_reason():
    contrast = {"name": "gap", "estimate": None, "ci": None}
    values = {"key_results": "gap has no number: nothing is alike"}
    row = SimpleNamespace(
        run_id="h2h", label="inconclusive", main=contrast, metrics=[contrast], values=values
    )
    measurement = {"row": "h2h", "metric": "gap", "value": 0.5, "tolerance": 0.1}
    measured = references.measure("ref", measurement, {"h2h": row})
    assert measured["holds"] is None and measured["reason"] == values["key_results"]
    assert references.verdict([measured], [row])[0] == "failed"


def test_a_new_measurement_supersedes_the_old_judgement_of_a_reference(planted):
    planted.config["references"] = {"repro-001": entry((f"recon-{CODER}", 0.7, 0.1))}
    planted.write()
    planted.code["reconstruction"] = "edited"
    moved = [metric("variance_explained", 0.4, [0.3, 0.5]), *METRICS[1:]]
    planted.make(RECONSTRUCTION, metrics=moved)
    rows = [row for row in planted.write() if row.run_id == "repro-001"]
    assert [row.label for row in rows] == ["not reproduced", "superseded"]
    assert "reconstruction: code: reconstruction:f" in rows[1].values["notes"]
