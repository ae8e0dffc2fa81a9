"""Descriptions of the backends: complete, light to import, and closed against unknown ones."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from latent_ledger.artifacts import provenance
from latent_ledger.lib.errors import LedgerError
from latent_ledger.resources.work import Work
from latent_ledger.scorers.kind import COMMON, Questions, ScorerKind
from latent_ledger.scorers.registry import SCORERS, kind_of
from tests.project import PROJECT

BACKENDS = pytest.mark.parametrize("kind", SCORERS.values(), ids=list(SCORERS))
FULL = {
    "model": "acme/tiny",
    "base_url": "http://localhost:8000/v1",
    "api_key_env": "KEY",
    "revision": "abc",
    "dtype": "bfloat16",
    "max_model_len": 5120,
    "gpu_memory_utilization": 0.85,
    "arguments": [],
    "startup_timeout": 1800,
    "concurrency": 16,
    "retries": 5,
    "timeout": 120,
    "temperature": 0,
    "max_tokens": 500,
    "logprobs": False,
}
"""A value for every setting that the schema has, as a checked configuration holds them."""


def test_registry_imports_no_client_and_no_heavy_library():
    code = (
        "import sys, latent_ledger.scorers.registry; "
        "print(*sorted({name.split('.')[0] for name in sys.modules} & "
        "{'torch', 'httpx', 'numpy', 'scipy', 'delphi', 'pyarrow'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(PROJECT / "src")},
    )
    assert done.stdout.strip() == ""


def test_every_client_on_disk_has_an_entry_and_every_entry_a_client():
    folder = PROJECT / "src/latent_ledger/scorers"
    assert {path.parent.name for path in folder.glob("*/client.py")} == {*SCORERS}


@BACKENDS
def test_environment_of_a_backend_is_a_lock_file(kind):
    assert (PROJECT / "envs" / f"{kind.environment}.lock").is_file()


@BACKENDS
def test_job_settings_hold_what_the_backend_takes_and_nothing_else(kind):
    job = kind.job_settings({"backend": kind.name, **FULL})
    assert {*job["scorer"]} == kind.settings
    assert job.get("environment", COMMON) == kind.environment
    assert provenance.lock_of(job) == kind.environment


def test_addresses_and_servers_enter_each_others_keys_in_no_backend():
    assert not {"base_url", "api_key_env"} & SCORERS["vllm"].settings
    assert not {"dtype", "max_model_len", "arguments"} & SCORERS["openai"].settings
    assert SCORERS["lexical"].settings == {"backend"}


def test_new_backend_keeps_its_address_and_is_not_served(monkeypatch):
    kind = ScorerKind(
        name="other", label=lambda settings: "other", cost=lambda *_: Work(), needs=("base_url",)
    )
    monkeypatch.setitem(SCORERS, "other", kind)
    settings = {"backend": "other", **FULL}
    assert kind_of(settings).serving is None
    assert kind.job_settings(settings) == {
        "scorer": {"backend": "other", "base_url": FULL["base_url"]}
    }


def test_unknown_backend_is_an_error_that_names_the_known_ones():
    with pytest.raises(LedgerError, match="'vlm' is not known; known: lexical, openai, vllm"):
        kind_of({"backend": "vlm"})


def test_cost_of_a_model_of_unknown_size_is_that_of_waiting():
    asked = Questions(latents=100, prompts=160, length=760, answer=20)
    settings = {"backend": "vllm", **FULL}
    assert SCORERS["vllm"].cost(settings, asked, None) == Work(seconds=5 + 2.0 * 160 / 16)
    assert SCORERS["openai"].cost(settings, asked, None) == Work(seconds=25.0)
    assert SCORERS["lexical"].cost({}, asked, None) == Work(seconds=15.0)


def copy_of_source(folder: Path) -> Path:
    """The scorers of this project below `folder`, and a script that reaches them."""
    for path in (PROJECT / "src/latent_ledger/scorers").rglob("*.py"):
        copy = folder / path.relative_to(PROJECT / "src")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    script = folder / "explain.py"
    script.write_text("from latent_ledger.scorers import opening\n")
    return script


def digest(script: Path) -> str:
    provenance.code_of.cache_clear()
    provenance._read_module.cache_clear()
    return provenance.code_of(script, script.parent).digest


@pytest.mark.parametrize(
    ("name", "old", "new", "stale"),
    [
        ("vllm/entry", "SERVER_START = 150.0", "SERVER_START = 99.0", False),
        ("vllm/entry", 'yield "arguments", f"{name} {say}"', 'yield "arguments", name', False),
        ("registry", "path.parent.name: import", "path.parent.name + '': import", False),
        ("lexical/client", "ALPHA = 0.05", "ALPHA = 0.04", True),
        ("vllm/server", "PORTS = 3", "PORTS = 4", True),
    ],
)
def test_edit_of_a_client_makes_answers_stale_and_of_an_entry_does_not(
    tmp_path, name, old, new, stale
):
    script = copy_of_source(tmp_path)
    path = tmp_path / f"latent_ledger/scorers/{name}.py"
    before = digest(script)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert (digest(script) != before) is stale


def test_description_is_complete_in_one_object():
    """A copy under another name is another backend, in everything."""
    kind = replace(SCORERS["vllm"], name="other")
    settings = {"backend": "other", **FULL}
    assert kind.job_settings(settings)["environment"] == "scorer"
    assert kind.label(settings) == "acme/tiny at abc"
    assert kind.serving(settings).max_model_len == 5120
