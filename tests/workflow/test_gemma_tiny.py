"""The whole Gemma experiment, by its real loading paths, on a stand-in for the hub."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from latent_ledger.config.reading import read_yaml
from latent_ledger.lib.files import read_json
from tests import tiny_hub
from tests.scorers import vllm_stand_in

from .conftest import PROJECT, copy_project

pytestmark = pytest.mark.slow

FULL = PROJECT / "config/config.yaml"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The stand-in for the hub, built once."""
    return tiny_hub.build(tmp_path_factory.mktemp("hub") / "tiny", tiny_hub.pinned(read_yaml(FULL)))


def test_the_gemma_experiment_runs_whole_and_has_every_row_of_the_reference(hub, tmp_path):
    root = copy_project(tmp_path / "project")
    (root / "notes").mkdir()
    environment = {
        **os.environ,
        **tiny_hub.environment(hub),
        "PYTHONPATH": str(root / "src"),
        "LATENT_LEDGER_VLLM": str(vllm_stand_in.install(root)),
        "STAND_IN": json.dumps({"notes": str(root / "notes"), "reads": True}),
    }
    environment.pop("LATENT_LEDGER_STORE", None)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "results/ledger.md", "--nocolor"),
            *("--profile", "profiles/local"),
            *("--configfile", "config/config.yaml", "config/gemma-tiny.yaml"),
        ],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1700,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    rows = read_json(root / "results/ledger.json")["rows"]
    assert not [
        (row["run_id"], row["notes"]) for row in rows if row["label"] in ("failed", "stale")
    ]
    current = {row["run_id"]: row for row in rows if row["label"] != "superseded"}
    references = read_yaml(FULL)["references"]
    assert set(references) <= set(current)
    assert {current[name]["label"] for name in references} == {"reproduced", "not reproduced"}
    # The real paths were taken: published coders read whole, at their own layers ...
    for layer in (5, 12, 19):
        explained = next(
            metric["estimate"]
            for metric in current[f"recon-gemma-scope-{layer}"]["metrics"]
            if metric["name"] == "variance_explained"
        )
        assert explained > 0.5
    # ... and both scorers served, each by a process of its own that is gone.
    served = [json.loads(line) for line in (root / "notes/argv").read_text().splitlines()]
    models = {argv[1] for argv in served}
    assert models == {"Qwen/Qwen2.5-3B-Instruct", "Qwen/Qwen2.5-7B-Instruct"}
    pids = (root / "notes/pid").read_text().split()
    assert pids and not any(Path(f"/proc/{pid}").exists() for pid in pids)
    # Coders of other models read tokens of their own tokenizers, and load again.
    for name in ("pythia-70m-deduped", "pythia-160m-deduped"):
        pythia, gemma = (
            read_json(root / f"results/gemma-tiny/tokens/{token_set}.json")["facts"]
            for token_set in (f"coder@{name}", "coder")
        )
        assert pythia["bos_id"] != gemma["bos_id"] and pythia["n_bytes"] != gemma["n_bytes"]
    for coder in ("smoke-p70-sae", "smoke-p70-tc", "smoke-p160-sae", "smoke-p160-tc"):
        assert current[f"gate-reader-{coder}-k32-s0"]["label"] == "reproduced"
        assert "of 30 steps" in current[f"train-{coder}-k32-s0"]["key_results"]
    # saebench-custom-sae is one id with two entries, as its author kept it.
    versions = [row["label"] for row in rows if row["run_id"] == "saebench-custom-sae"]
    assert versions == [current["saebench-custom-sae"]["label"], "superseded"]
