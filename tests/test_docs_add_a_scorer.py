"""The page docs/add-a-scorer.md, carried out literally in a copy of the library."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.docs_pages import carry_out, configuration
from tests.project import PROJECT

DRIVER = """
import json
import sys
from pathlib import Path

import latent_ledger
from latent_ledger import experiment
from latent_ledger.artifacts.provenance import code_of, lock_of
from latent_ledger.config.schema_file import schema
from latent_ledger.evaluations.autointerp import collect, examples, explain, plan, score
from latent_ledger.lib.errors import LedgerError
from latent_ledger.planning.estimates import Planner
from latent_ledger.scorers.registry import SCORERS
from tests.evaluations.autointerp import planted

src, out = Path(latent_ledger.__file__).parents[1], Path(sys.argv[1])
overlay, tiny, script = json.loads(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
config = experiment.load(tiny, [overlay])
jobs = plan.jobs(config)
coder = next(path for path in jobs if path.startswith("explanations/")).split("/")[1]
settings = jobs[plan.manifest_of("latent_scores", coder, "chance")].settings
estimate = Planner(config).job(plan.manifest_of("latent_scores", coder, "chance"))
try:
    experiment.load(tiny, [overlay, {"evaluations": {"autointerp": {"scorers": {
        "chance": {"backend": "coin", "model": "acme/tiny"}}}}}])
    refused = []
except experiment.ConfigError as error:
    refused = error.lines

names = ("examples", "explanations", "scores", "collected")
folders = {name: out / name for name in names}
for folder in folders.values():
    folder.mkdir(parents=True)
examples.produce(planted.SETTINGS, **planted.folders(out / "planted"), out=folders["examples"])
explain.produce({"scorer": settings["scorer"]}, folders["examples"], folders["explanations"])
facts = score.produce(
    {**settings, "examples_shown": 5},
    folders["examples"],
    folders["explanations"],
    folders["scores"],
)
how = {"scorer_or_encoder": "chance", "resamples": 200, "seed": 0, "reference_frequency": 0.01}
collect.produce(
    how,
    folders["examples"],
    folders["collected"],
    scores=folders["scores"],
    explanations=folders["explanations"],
)
metrics = json.loads((folders["collected"] / "metrics.json").read_text())["metrics"]
block = schema()["properties"]["evaluations"]["properties"]["autointerp"]["properties"]
backend = block["scorers"]["additionalProperties"]["properties"]["backend"]
print(json.dumps({
    "file": latent_ledger.__file__,
    "enum": backend["enum"],
    "registry": list(SCORERS),
    "settings": settings,
    "lock": lock_of(settings),
    "label": plan.label(config, "chance"),
    "gpu": estimate.gpu,
    "refused": refused,
    "facts": facts,
    "metrics": {metric["name"]: metric["estimate"] for metric in metrics},
    "rows": planted.rows(folders["scores"], "answers.parquet"),
    "code": sorted(name for name in code_of(script, src).functions if ".coin." in name),
}))
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """What the library with the page's scorer says, in a process of its own."""
    folder = tmp_path_factory.mktemp("add-a-scorer")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(PROJECT / "src", folder / "src", ignore=ignore)
    carry_out("add-a-scorer", folder)
    overlay = json.dumps(yaml.safe_load(configuration("add-a-scorer")))
    run = subprocess.run(
        [
            *(sys.executable, "-c", DRIVER, folder / "out", overlay),
            *(PROJECT / "config/tiny.yaml", PROJECT / "workflow/scripts/explain.py"),
        ],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": f"{folder / 'src'}:{PROJECT}"},
    )
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout.splitlines()[-1])
    assert answer["file"].startswith(str(folder))
    return answer


def test_page_makes_schema_and_registry_agree(done):
    assert done["enum"] == done["registry"]
    assert "coin" in done["enum"]


def test_jobs_of_the_pages_scorer_get_its_settings_and_the_common_environment(done):
    assert done["settings"]["scorer"] == {"backend": "coin", "seed": 1}
    assert done["lock"] == "ledger" and done["gpu"] is None
    assert done["label"] == "scorer: chance (coin of seed 1)"


def test_setting_that_the_pages_scorer_does_not_take_is_refused(done):
    assert done["refused"] == [
        "evaluations.autointerp.scorers.chance.model: is for backend openai, vllm; a scorer of "
        "backend coin does not take it"
    ]


def test_pages_scorer_explains_and_scores_planted_latents_by_chance(done):
    assert done["facts"]["scorer"] == "coin" and done["facts"]["unread_prompts"] == 0
    assert done["facts"]["latents"] == 12
    for name in ("detection_chance", "fuzzing_chance", "fuzzing_matched_chance"):
        assert abs(done["metrics"][name] - 0.5) < 0.1, name  # 480 answers: 4 standard errors
    ones = [row["prediction"] for row in done["rows"] if row["score"] == "detection"]
    assert 0.4 < sum(ones) / len(ones) < 0.6


def test_code_digest_reaches_the_pages_client_and_not_its_entry(done):
    modules = {name.partition(":")[0] for name in done["code"]}
    assert modules == {"latent_ledger.scorers.coin.client"}
