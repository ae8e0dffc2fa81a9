"""Origins of models and texts: one entry each, and nothing a job computes reaches their checks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from latent_ledger.artifacts.provenance import Project
from latent_ledger.lib.errors import LedgerError
from latent_ledger.models.sources import checks, registry
from latent_ledger.models.sources.source import ModelShape
from latent_ledger.text.corpora import checks as corpus_checks
from latent_ledger.text.corpora import registry as corpora
from tests.project import PROJECT

RULES = sorted(path.stem for path in (PROJECT / "workflow/scripts").glob("*.py"))


def modules(rule: str) -> set[str]:
    """Modules that the code digest of a rule covers, without the package."""
    names = Project(PROJECT).functions(rule)
    return {name.partition(":")[0].removeprefix("latent_ledger.") for name in names}


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ("embedded", "embedded"),
        ("google/gemma-2-2b", "hub"),
        ("./models/pythia", "folder"),
        ("~/models/pythia", "folder"),
        ("/models/pythia", "folder"),
    ],
)
def test_source_in_a_known_form_has_one_origin(source, origin):
    assert registry.source_of(source).name == origin
    assert [entry.name for entry in registry.SOURCES if entry.accepts(source)] == [origin]


def test_unknown_source_names_the_known_forms():
    with pytest.raises(LedgerError, match='write "embedded", a hub id as owner/name, or a folder'):
        registry.source_of("gpt2")


def test_names_of_origins_are_unique_and_checks_name_known_ones():
    for known, checked in (
        (registry.SOURCES, checks.CHECKS),
        (corpora.SOURCES, corpus_checks.CHECKS),
    ):
        names = [origin.name for origin in known]
        assert len(names) == len(set(names))
        assert set(checked) <= set(names)


def test_shape_of_an_embedded_model_is_its_recipe():
    training = {"layers": 4, "width": 128, "heads": 4, "context": 64, "vocabulary": 2048}
    block = {"source": "embedded", "training": training}
    assert registry.shape(block) == ModelShape(layers=4, context=64)
    assert registry.shape({"source": "embedded"}) is None


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "ledger"])
def test_code_of_a_job_reaches_no_check_and_no_carrier(rule):
    reached = modules(rule)
    assert not {name for name in reached if name.rpartition(".")[2].startswith("checks")}
    assert not {name for name in reached if name.startswith(("config.", "planning."))}
    assert {name for name in reached if name.startswith("artifacts.")} <= {"artifacts.references"}
    assert "lib.numbers" in reached


@pytest.mark.parametrize("rule", ["capture", "tokens", "randomised_model", "memory_plan"])
def test_code_of_a_job_that_loads_a_model_reaches_no_origin(rule):
    reached = modules(rule)
    assert not {name for name in reached if name.startswith("models.sources")}
    assert "models.training" not in reached


def test_text_imports_nothing_of_models():
    for path in (PROJECT / "src/latent_ledger/text").rglob("*.py"):
        assert "latent_ledger.models" not in path.read_text().replace(":mod:`", ""), path


def test_registries_load_no_model_library():
    code = (
        "import sys\n"
        "from latent_ledger.config import sources\n"
        "from latent_ledger.models.sources import checks\n"
        "from latent_ledger.text.corpora import checks\n"
        "heavy = {'torch', 'transformers', 'huggingface_hub', 'numpy', 'pyarrow', 'datasets'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
