"""A configuration is checked whole, at once, fast, and stays as it was."""

from __future__ import annotations

import copy
import functools
import json
import os
import shutil
import subprocess
import sys
from collections import OrderedDict

import pytest

from latent_ledger import cli
from latent_ledger.config.coder_specs import coder_specs, coders_measured_by
from latent_ledger.config.reading import merge
from latent_ledger.experiment import load, validate
from latent_ledger.lib.errors import LedgerError
from tests.config.experiments import FULL, KINDS, MICRO, TINY, lines, small
from tests.project import PROJECT

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.mark.parametrize(
    "paths", [(TINY,), (FULL,), (TINY, MICRO)], ids=lambda paths: paths[-1].name
)
def test_shipped_configurations_validate_and_stay_as_they_are(paths):
    first, *overlays = paths
    config = load(first, overlays)
    assert validate(config) == config
    assert json.loads(json.dumps(config)) == config


def test_the_reference_experiment_is_the_declared_one():
    config = load(FULL)
    model = {key: config["model"][key] for key in ("source", "revision", "dtype")}
    revision = "c5ebcd40d208330abc697524c919956e692655cf"
    assert model == {"source": "google/gemma-2-2b", "revision": revision, "dtype": "bfloat16"}
    assert config["corpus"]["source"] == "hub:NeelNanda/pile-10k"
    assert config["tokens"]["context"] == 1024
    assert config["tokens"]["budget"]["coder"] == 10_000_000
    every = coder_specs(config)
    assert [spec.name for spec in every][:4] == [f"{name}-k64-s0" for name in KINDS]
    ours = [spec for spec in every if spec.base == "original"]
    assert {spec.width for spec in ours} == {16_384}
    assert {spec.site.input_hook.layer for spec in ours} == {5, 12, 19}
    smoke = [spec for spec in every if spec not in ours]
    assert {spec.base for spec in smoke} == {"pythia-70m-deduped", "pythia-160m-deduped"}
    assert {(spec.width, spec.k, spec.site.input_hook.layer) for spec in smoke} == {(4096, 32, 3)}
    steps = {
        config["model"]["others"][spec.base]["tokens"]["coder"] / spec.recipe["batch_tokens"]
        for spec in smoke
    }
    assert steps == {30}
    assert set(config["references"]) == {
        "repro-001",
        "repro-002",
        "repro-003",
        "repro-004",
        "smoke-p70-sae",
        "smoke-p70-tc",
        "train-g2-sae",
        "train-g2-tc",
        "recon-g2-sae",
        "ai-g2-sae",
        "ai-g2-tc",
        "ai-g2-7b-ATTEMPT",
        "ai-g2-sae-7b",
        "ai-g2-tc-7b",
        "ctrl-probe-real",
        "ctrl-steer",
        "ctrl-steer-v2",
        "circuit-g2-sae",
        "circuit-multilayer",
        "saebench-custom-sae",
    }


@pytest.mark.parametrize("path", [TINY, FULL], ids=lambda path: path.name)
def test_every_control_is_there_and_measured_beside_the_coder_it_controls(path):
    config = load(path)
    assert config["model"]["randomised"] == {
        "rerandomised": {"keep": "embeddings", "seed": 0},
        "random-model": {"keep": "nothing", "seed": 0},
    }
    every = {spec.coder: spec for spec in coder_specs(config)}  # the last instance: k 32 in tiny
    for name, (coder, model, weights) in {
        "sae-rerandomised": ("sae-resid", "rerandomised", "trained"),
        "sae-random-model": ("sae-resid", "random-model", "trained"),
        "skip-transcoder-rerandomised": ("skip-transcoder", "rerandomised", "trained"),
        "sae-frozen-decoder": ("sae-resid", "original", "frozen-decoder"),
        "sae-soft-frozen-decoder": ("sae-resid", "original", "soft-frozen-decoder"),
        "sae-random": ("sae-resid", "original", "random"),
    }.items():
        control, real = every[name], every[coder]
        assert control.control
        assert (control.model, control.weights) == (model, weights)
        assert (control.site, control.width, control.k) == (real.site, real.width, real.k)
        assert control.recipe == real.recipe
        for evaluation in ("reconstruction", "probing"):
            assert control in coders_measured_by(config, evaluation)


def test_the_input_is_not_changed_and_ordered_mappings_are_welcome(tiny):
    before = copy.deepcopy(tiny)
    ordered = OrderedDict((key, tiny[key]) for key in tiny)
    assert validate(ordered) == validate(tiny)
    assert tiny == before
    assert type(validate(ordered)) is dict


def test_another_model_is_one_line(tmp_path):
    folder = tmp_path / "pythia"
    folder.mkdir()
    (folder / "config.json").write_text('{"num_hidden_layers": 6, "max_position_embeddings": 128}')
    for source in ("google/gemma-2-2b", "./pythia", str(folder)):
        config = load(TINY, [{"model": {"source": source}}])
        assert "training" not in config["model"]
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text("a text")
    for source in ("hub:NeelNanda/pile-10k", "hub:c4:en", "texts", "texts/a.txt"):
        config = load(TINY, [{"corpus": {"source": source}}])
        assert "families" not in config["corpus"]
        assert config["corpus"]["text_field"] == "text"


def test_all_problems_come_at_once_in_the_order_of_the_file(tiny):
    tiny["ledger"]["alhpa"] = tiny["ledger"].pop("alpha")
    tiny["training"]["k"] = [2048]
    tiny["coders"]["sae-mlp"]["layer"] = 7
    tiny["model"]["dtype"] = "int8"
    tiny["corpus"]["parts"]["coder"] = 0.9
    with pytest.raises(LedgerError) as caught:
        validate(tiny)
    assert str(caught.value) == "\n  ".join(
        [
            "The configuration has 4 problems:",
            'model.dtype: "int8" is not one of float32, bfloat16, float16',
            "corpus.parts: the shares sum to 1.7, and must sum to at most 1",
            "training.k[0]: 2048 active latents exceed the width, 1024",
            'ledger.alhpa: unknown key; did you mean "alpha"?',
        ]
    )


def test_an_empty_configuration_names_every_missing_section():
    assert lines({}) == [
        'experiment: missing; this key is required, for example "tiny"',
        *[f"{name}: missing; this key is required" for name in ("model", "corpus", "tokens")],
        'coders: missing; this key is required, for example {"sae-resid": {"architecture": "sae", '
        '"layer": 2, "input_hook": "resid_post"}}',
        "training: missing; this key is required",
        "evaluations: missing; this key is required",
    ]


def test_the_command_line_checks_files(tmp_path, capsys):
    bad = tmp_path / "bad.yaml"
    bad.write_text("training: {width: 4}\n")
    assert cli.main(["check", str(TINY)]) == 0
    assert cli.main(["check", str(TINY), str(bad)]) == 1
    assert "training.k[0]: 16 active latents exceed the width, 4" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main(["frobnicate"])


def test_it_imports_nothing_heavy():
    """What keeps a dry run quick; the seconds themselves are a benchmark's business."""
    program = (
        "import sys; from latent_ledger.experiment import load; from pathlib import Path;"
        f"load(Path({str(TINY)!r}));"
        "heavy = {'torch', 'numpy', 'pandas', 'pyarrow', 'transformers', 'sae_probes',"
        " 'huggingface_hub'} & set(sys.modules);"
        "print(*heavy)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert loaded == []


def test_an_overlay_can_take_inherited_entries_out():
    overlay = {
        "evaluations": {"probing": "absent"},
        "coders": {"transcoder": "absent"},
        "comparisons": {"families": "absent"},
    }
    validated = validate(merge(small(), overlay))
    assert set(validated["evaluations"]) == {"reconstruction"}
    assert set(validated["coders"]) == {"sae-resid", "sae-mlp", "skip-transcoder"}
    assert validated["comparisons"]["families"] == {}


def test_what_stays_absent_by_mistake_is_an_error():
    assert lines(merge(small(), {"coders": {"sae-mlp": "absnet"}})) == [
        'coders.sae-mlp: "absnet" is not a mapping'
    ]


def test_installed_package_checks_a_configuration_outside_a_checkout(tmp_path):
    """The schemas lie in the package, so that no checkout is needed to read one."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "src/latent_ledger", tmp_path / "latent_ledger", ignore=ignored)
    shutil.copy(TINY, tmp_path / "mine.yaml")
    program = "import sys; from latent_ledger.cli import main; sys.exit(main(sys.argv[1:]))"
    run = functools.partial(
        subprocess.run,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    done = run([sys.executable, "-c", program, "check", "mine.yaml"])
    assert (done.returncode, done.stdout) == (0, "mine.yaml: nothing wrong\n"), done.stderr
    done = run([sys.executable, "-c", program, "docs"])
    assert done.returncode == 1 and "go to the top of a checkout" in done.stderr

    # A new evaluation without its line in the registry would be asked for and never run.
    (tmp_path / "latent_ledger/evaluations/usage").mkdir()
    schema = tmp_path / "latent_ledger/evaluations/usage/schema.yaml"
    (tmp_path / "more.yaml").write_text("evaluations: {usage: {}}\n")
    for properties, expected in (
        ("{}", "its properties lack `select:"),
        ('{select: {$ref: "#/$defs/select"}}', "has a schema and no line in planning/registry.py"),
    ):
        schema.write_text(
            "description: Usage.\ntype: object\nadditionalProperties: false\n"
            f"properties: {properties}\n"
        )
        done = run([sys.executable, "-c", program, "check", "mine.yaml", "more.yaml"])
        assert done.returncode == 1 and expected in done.stderr and "Trace" not in done.stderr
