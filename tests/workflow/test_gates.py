"""Gates as a person meets them: a wrong adapter, its rows, and the way back."""

import pytest

from latent_ledger import experiment
from latent_ledger.ledger.row import RUN_COLUMNS
from latent_ledger.planning import graph

pytestmark = pytest.mark.slow

ADAPTER = "src/latent_ledger/coders/formats/sparsify/saelens.py"
RIGHT, WRONG = "APPLY_B_DEC_TO_INPUT = True", "APPLY_B_DEC_TO_INPUT = False"
MICRO = ("config/tiny.yaml", "tests/workflow/micro.yaml")

BELOW = (
    "gates/saelens/",
    "saebench/",
    "saebench_core/",
    "sae_probes/",
    "headtohead/",
    "overview",
    "figures",
    "ledger",
)
"""Beginnings of what may depend on the SAELens adapter."""


def micro(whole_checkout) -> dict:
    """The configuration of the micro experiment."""
    base, overlay = (whole_checkout.root / name for name in MICRO)
    return experiment.load(base, [overlay])


def planned(whole_checkout) -> list[graph.RowPlan]:
    """The rows of the micro experiment."""
    return graph.rows(micro(whole_checkout))


def results(rows: list[dict]) -> dict[str, dict]:
    """Current rows by run id, without the columns that describe the run."""
    return {
        row["run_id"]: {key: value for key, value in row.items() if key not in RUN_COLUMNS}
        for row in rows
        if row["label"] != "superseded"
    }


def test_every_gate_holds_and_is_told(whole):
    gates = {row["run_id"]: row for row in whole.rows() if row["run_id"].startswith("gate-")}
    expected = {row.run_id for row in planned(whole) if row.row_type == "gate"}
    assert set(gates) == expected
    kinds = ("gate-reader-", "gate-saelens-", "gate-nulls-reconstruction-", "gate-nulls-probing-")
    assert all(any(name.startswith(kind) for name in gates) for kind in kinds)
    assert {row["label"] for row in gates.values()} == {"reproduced"}
    assert all("n=" in row["key_results"] for row in gates.values())
    wrong = [row for row in gates.values() if "apply_b_dec_to_input=False" in row["notes"]]
    assert wrong and all("fails: Jaccard 0." in row["notes"] for row in wrong)
    text = (whole.root / "results/ledger.md").read_text()
    section = text.partition("## Gates")[2].partition("\n## ")[0]
    assert section.count("\n| ") == 2 + 5, "one line per gate below the header"


def test_an_edited_adapter_makes_only_its_gate_and_what_follows_stale(whole_checkout):
    whole_checkout.edit(ADAPTER, RIGHT, WRONG)
    listed = whole_checkout.listed()
    assert all(name.startswith(BELOW) for name in listed), listed
    manifests = {
        row.manifest for row in planned(whole_checkout) if row.run_id.startswith("gate-saelens")
    }
    assert {f"{name}.json" for name in listed} >= manifests


def test_a_wrong_adapter_becomes_rows_without_a_number_and_then_history(whole_checkout):
    before = results(whole_checkout.rows())
    rows = planned(whole_checkout)
    gates = {row.manifest: row for row in rows if row.run_id.startswith("gate-saelens-sae-")}
    assert gates, "the micro experiment hands an SAE to SAELens"
    jobs = graph.jobs(micro(whole_checkout))
    behind = {row.run_id: graph.manifests_behind(row, jobs) for row in rows}
    below = {run_id: path for path in gates for run_id in behind if path in behind[run_id]}
    below = {run_id: path for run_id, path in below.items() if run_id != gates[path].run_id}
    assert below

    whole_checkout.edit(ADAPTER, RIGHT, WRONG)
    whole_checkout.snakemake(ok=False)
    wrong = results(whole_checkout.rows())
    for gate in gates.values():
        row = wrong[gate.run_id]
        assert row["label"] == "failed" and row["key_results"] == ""
        assert row["notes"].startswith("encode fidelity, Jaccard 0."), row["notes"]
        assert float(row["notes"].split()[3]) < 0.9
    for run_id, path in below.items():
        row = wrong[run_id]
        assert row["label"] == "failed" and row["key_results"] == "" and not row["metrics"]
        assert row["notes"].startswith(
            f"not run, because results/micro/{path} failed: encode fidelity"
        )
    for run_id, row in before.items():
        if run_id.startswith(("train-", "recon-", "probe-", "gate-reader-", "gate-nulls-")):
            assert wrong[run_id] == row, "not a dependent"
    # The line is about SAEs: the transcoders' gates ran again, and hold.
    for run_id in before:
        if run_id.startswith("gate-saelens-") and "transcoder" in run_id:
            assert wrong[run_id]["label"] == "reproduced"

    whole_checkout.edit(ADAPTER, WRONG, RIGHT)
    whole_checkout.snakemake()
    assert results(whole_checkout.rows()) == before
    for gate in gates.values():
        old = [row for row in whole_checkout.rows() if row["run_id"] == gate.run_id][1:]
        assert [row["label"] for row in old] == ["superseded"]
        assert old[0]["key_results"] == ""
        assert "Superseded (failed before)" in old[0]["notes"]
        assert "encode fidelity, Jaccard 0." in old[0]["notes"]
