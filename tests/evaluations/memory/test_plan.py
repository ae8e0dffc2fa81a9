"""The memory planner's job and row: planned where GPUs are listed, and their text."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from latent_ledger.config.reading import read_yaml
from latent_ledger.evaluations.memory import evaluation
from latent_ledger.evaluations.memory import plan as memory
from latent_ledger.evaluations.memory import rows as memory_rows
from latent_ledger.experiment import load, validate
from latent_ledger.lib.files import read_json
from latent_ledger.planning import graph
from tests.project import PROJECT

ROOT = PROJECT
SCORERS = {
    "lexical": {"backend": "lexical"},
    "seven": {
        "backend": "openai",
        "model": "Qwen/Qwen2.5-7B-Instruct",
        "base_url": "http://localhost:8000/v1",
    },
    "hidden": {"backend": "openai", "model": "gpt", "base_url": "http://localhost:8000/v1"},
}


def experiment(**hardware) -> dict:
    raw = read_yaml(ROOT / "config/config.yaml")
    raw["evaluations"]["autointerp"]["scorers"] = SCORERS
    raw["hardware"] = hardware
    # names of readers that this experiment does not have
    raw["references"] = {}
    raw["comparisons"]["families"] = {}
    raw["comparisons"].pop("overview", None)
    return validate(raw)


@dataclass
class Written:
    """A payload in a folder."""

    path: Path

    def folder(self) -> Path:
        return self.path

    @property
    def facts(self) -> dict:
        return read_json(self.path / "metrics.json")["facts"]


@dataclass
class Shown:
    """The fields of a ledger row that the section reads."""

    run_id: str
    row_type: str
    metrics: list
    facts: dict


def test_scorers_of_known_size_are_planned_where_gpus_are_listed():
    assert memory.jobs(experiment()) == {}
    planned = memory.jobs(experiment(gpus=["L4", "A100-40GB"]))
    assert list(planned) == ["memory/seven.json"]
    assert planned["memory/seven.json"].rule == "memory_plan"


def test_experiment_without_gpus_has_no_memory_plan():
    assert memory.jobs(load(ROOT / "config/tiny.yaml")) == {}


@pytest.fixture
def finding(tmp_path):
    plans = experiment(gpus=["L4", "A100-40GB"])
    (row,) = memory.rows(plans, {})
    assert row.run_id == "memory-seven"
    assert row in graph.rows(plans)
    settings = memory.jobs(plans)[row.manifest].settings
    evaluation.produce(settings, tmp_path)
    payload = Written(tmp_path)
    return memory_rows.read(row, payload), payload.facts


def test_row_of_the_reference_scorer_gives_the_reason_it_did_not_start(finding):
    result, _ = finding
    by = {metric["name"]: metric["estimate"] for metric in result.metrics}
    assert by["fits_beside_model_L4"] == 0 and by["fits_alone_L4"] == 1
    assert by["fits_beside_model_A100-40GB"] == 1
    assert by["free_beside_model_L4"] == pytest.approx(16.05, abs=0.1)
    assert by["guard_L4"] == pytest.approx(19.83, abs=0.01)
    assert "no share of L4 works" in result.key_results
    assert result.main["name"] == "needed" and result.main["unit"] == "GiB"


def test_section_has_a_line_per_gpu(finding):
    result, facts = finding
    text = memory_rows.section([Shown("memory-seven", "memory", result.metrics, facts)])
    lines = [line for line in text.splitlines() if "Qwen" in line]
    assert ["does not fit" in line for line in lines] == [True, False]
    assert memory_rows.section([]) == ""
