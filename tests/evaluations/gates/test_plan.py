"""The gates' part of the graph and of the ledger, without running anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from latent_ledger.artifacts.provenance import Project
from latent_ledger.artifacts.store import Manifest
from latent_ledger.coders.formats import registry
from latent_ledger.evaluations.gates import fidelity
from latent_ledger.evaluations.gates import rows as gates_rows
from latent_ledger.experiment import load
from latent_ledger.lib.files import write_json
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.planning import graph, paths
from tests.ways import way

ONE = "sae-resid-k32-s0"


@pytest.fixture(scope="module")
def config() -> dict:
    return load(Path("config/tiny.yaml"))


@dataclass
class Shown:
    """The fields of a ledger row that a section reads."""

    run_id: str
    label: str = "reproduced"
    metrics: list = field(default_factory=list)


class FakePayload:
    """A payload with the facts and metrics given."""

    def __init__(self, folder: Path, kind: str, facts: dict, metrics: list[dict]) -> None:
        self.manifest = Manifest(kind, "", [], facts, "", {})
        self.facts = facts
        self._folder = folder
        write_json(folder / "metrics.json", {"metrics": metrics})

    def folder(self) -> Path:
        return self._folder


def metric(name: str, estimate: float, n: int = 2560, unit: str = "row") -> dict:
    return {"name": name, "estimate": estimate, "ci": None, "n": n, "unit": unit}


def row(config, run_id: str) -> graph.RowPlan:
    return next(row for row in graph.rows(config) if row.run_id == run_id)


def test_codes_need_the_loader_gate(config):
    jobs = graph.jobs(config)
    for name in jobs:
        if isinstance(name, paths.Codes):
            assert jobs[paths.gate("reader", name.coder)].rule == "reader_fidelity"
    for row in graph.rows(config, jobs):
        before = graph.manifests_behind(row, jobs)
        for path in (path for path in before if path.startswith("codes/")):
            gate = paths.gate("reader", Path(path).stem)
            assert before.index(gate) < before.index(path), row.run_id


def test_every_gate_is_planned_with_its_inputs(config):
    jobs = graph.jobs(config)
    for row in graph.rows(config, jobs):
        if row.row_type == "gate":
            assert row.manifest in jobs and graph.manifests_behind(row, jobs)[-1] == row.manifest


def test_evaluations_need_their_metric_nulls(config):
    recon, probe = row(config, f"recon-{ONE}"), row(config, f"probe-{ONE}")
    hook_point = HookPoint.parse("layers.2.resid_post")
    assert way(recon, config)[-2:] == [
        paths.NullsGate("reconstruction", hook_point),
        recon.manifest,
    ]
    assert way(probe, config)[-2:] == [paths.NullsGate("probing", hook_point), probe.manifest]
    transcoder = row(config, "recon-transcoder-k32-s0")
    assert way(transcoder, config)[-2] == "gates/nulls/reconstruction/layers.2.mlp_out.json"


def test_a_control_on_another_model_shares_the_nulls_of_the_original(config):
    jobs = graph.jobs(config)
    control = row(config, "recon-sae-rerandomised-k32-s0")
    assert way(control, config)[-2] in jobs
    assert "activations/evaluation/layers.2.resid_post.json" in jobs
    assert not any("@" in path for path in jobs if path.startswith("gates/nulls"))


def test_absent_evaluation_has_no_gate(config):
    evaluations = {**config["evaluations"]}
    for name in ("probing", "saebench", "sae_probes", "circuits", "steering"):
        evaluations.pop(name, None)
    without = {**config, "evaluations": evaluations}
    without["comparisons"] = {**config["comparisons"], "families": {}, "overview": None}
    jobs = graph.jobs(without)
    assert not any("nulls/probing" in path or "gates/saelens" in path for path in jobs)


def test_fidelity_is_read_with_its_counts_and_its_wrong_variant(config, tmp_path):
    facts = {
        "against": "sae_lens.TopKSAE",
        "rows": {"random": 512, "real": 2048},
        "tied_rows": 3,
        "wrong_variant": {
            "option": "apply_b_dec_to_input=False",
            "fails": True,
            "jaccard": {"random": 0.25, "real": 0.2187},
            "b_dec_norm": 0.5,
        },
    }
    metrics = [metric("jaccard", 1.0), metric("value_error_random", 2e-7, 512)]
    metrics += [metric("value_error_real", 1e-7, 2048), metric("output_error_real", 3e-7, 2048)]
    payload = FakePayload(tmp_path, "saelens_fidelity", facts, metrics)
    finding = gates_rows.read(row(config, f"gate-reader-{ONE}"), payload)
    assert finding.reference == {"value": 1.0, "tolerance": 0.0}
    assert finding.main["estimate"] == 1.0
    assert "on 512 random and 2,048 real rows (n=2,560 rows)" in finding.key_results
    bound = f"{fidelity.RELATIVE_ERROR:.0e}"
    assert f"a value 2.0e-07, of an output 3.0e-07 (bound {bound})" in finding.key_results
    assert "3 rows with a tie" in finding.key_results
    assert finding.notes == (
        "With apply_b_dec_to_input=False the same check fails: Jaccard 0.25 and 0.22."
    )
    facts["wrong_variant"] |= {"fails": False, "b_dec_norm": 0.0002}
    again = gates_rows.read(row(config, f"gate-reader-{ONE}"), payload)
    assert "passes too: b_dec is only 0.0002 of a row's norm" in again.notes


def test_null_rows_have_their_bounds_as_reference(config, tmp_path):
    metrics = [
        metric("variance_explained_of_mean", -3e-16, 219, "document"),
        metric("variance_explained_of_target", 1.0, 219, "document"),
        metric("largest_deviation", 0.0, 219, "document"),
    ]
    facts = {"tolerance": 1e-6, "largest_deviation": 0.0}
    payload = FakePayload(tmp_path, "reconstruction_nulls", facts, metrics)
    finding = gates_rows.read(row(config, "gate-nulls-reconstruction-layers.2.resid_post"), payload)
    assert finding.reference == {"value": 0.0, "tolerance": 1e-6}
    assert "0.000000 for the mean, 1.000000 for the target" in finding.key_results
    assert "n=219 documents" in finding.key_results

    facts = {"bound": 0.068, "false_alarm": 1e-6, "checks": 10, "true_auroc": 0.61}
    shuffles = [metric("largest_deviation", 0.017, 24, "shuffle")]
    payload = FakePayload(tmp_path, "probing_nulls", facts, shuffles)
    finding = gates_rows.read(row(config, "gate-nulls-probing-layers.2.resid_post"), payload)
    assert finding.reference == {"value": 0.0, "tolerance": 0.068}
    assert "at most 0.017 from 0.5 over 10 means" in finding.key_results
    assert "n=24 shuffles" in finding.key_results


def test_section_counts_held_gates_and_shows_the_worst():
    rows = [
        Shown("parity-coder-layers.2.mlp_in"),
        Shown(f"gate-reader-{ONE}", metrics=[metric("jaccard", 1.0)]),
        Shown("gate-reader-transcoder-k32-s0", "failed"),
        Shown("gate-nulls-probing-layers.2.mlp_in", metrics=[metric("largest_deviation", 0.017)]),
        Shown("probe-sae-resid-k32-s0"),
    ]
    text = gates_rows.section(rows)
    assert "| encode fidelity, reader |" in text and "| 1 of 2 | Jaccard 1.000 |" in text
    assert "| hook-point parity |" in text and "| 0.017 off |" in text
    assert "SAELens" not in text, "no gate of that sort was asked for"
    assert gates_rows.section([Shown("probe-sae-resid-k32-s0")]) == ""


def test_saelens_adapter_is_reached_only_by_jobs_behind_its_gate():
    """Statically, what the workflow test shows by running: nothing else can become stale."""
    bridges = {"latent_ledger.coders.saelens"}
    bridges |= {f"latent_ledger.coders.formats.{name}.saelens" for name in registry.NAMES}
    for bridge in bridges:
        assert scripts_that_reach(bridge) == {
            "saelens_fidelity",
            "saebench",
            "saebench_core",
            "sae_probes",
        }


def test_codes_rest_on_loaders_and_on_no_other_part_of_a_format():
    for name in registry.NAMES:
        package = f"latent_ledger.coders.formats.{name}"
        assert "encode" in scripts_that_reach(f"{package}.loader")
        assert scripts_that_reach(f"{package}.reference") == {"reader_fidelity"}
        assert scripts_that_reach(f"{package}.fetch") == {"pretrained_coder"}
        assert "encode" not in scripts_that_reach(f"{package}.entry")
    assert "train_coder" not in scripts_that_reach(
        "latent_ledger.coders.formats.gemma_scope.loader"
    )


def scripts_that_reach(module: str) -> set[str]:
    """Rules whose code digest covers a module."""
    project = Project(Path())
    return {
        script.stem
        for script in Path("workflow/scripts").glob("*.py")
        if any(name.startswith(f"{module}:") for name in project.functions(script.stem))
    }


def test_jobs_with_a_saelens_object_need_its_gate(config):
    jobs = graph.jobs(config)
    for planned in graph.rows(config):
        if planned.row_type in ("saebench", "saebench_core", "sae_probes"):
            gate = next(path for path in way(planned, config) if path.startswith("gates/saelens/"))
            assert gate in jobs and gate.endswith(Path(planned.manifest).name)
