"""The pages that add a format and an architecture, carried out in a copy of the library."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.docs_pages import carry_out, configuration
from tests.project import PROJECT

PAGES = ("add-a-coder", "add-an-architecture")
D, WIDTH, K = 16, 64, 5

RUN = """
import json, sys
from pathlib import Path
import torch
import latent_ledger
from latent_ledger import experiment
from latent_ledger.coders import pretrained
from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.coders.training import trainer
from latent_ledger.evaluations.gates import reader_fidelity, saelens_fidelity
from latent_ledger.planning import graph, paths
from tests.coders.shard_folders import synthetic

folder = Path(sys.argv[1])
config = experiment.load(Path("config/tiny.yaml"), sorted(folder.glob("*.yaml")))
jobs = graph.jobs(config)
job = jobs[paths.coder("published")]
rule, settings = job.rule, job.settings
assert rule == "pretrained_coder", rule
(folder / "coder").mkdir()
facts = pretrained.produce(settings, folder / "coder")
x = torch.randn(200, 16, generator=torch.Generator().manual_seed(0))
acts = synthetic(folder / "acts", x, context=10, hook_point="layers.2.resid_post")
gates = {}
for gate in (reader_fidelity, saelens_fidelity):
    out = folder / gate.__name__
    out.mkdir()
    sizes = {"coder": "published", "random_rows": 50, "real_rows": 100, "seed": 0}
    gates[gate.__name__.rpartition(".")[2]] = gate.produce(sizes, acts, folder / "coder", out)
_, indices, values = load_coder(folder / "coder").encode(x)

job = jobs[paths.coder("whole-block-k32-s0")]
rule, settings = job.rule, job.settings
assert rule == "train_coder", rule
settings = settings | {"width": 64, "k": 4, "batch_tokens": 100}
sides = {
    side: synthetic(folder / side, x.float(), context=10, hook_point=f"layers.2.{point}")
    for side, point in (("input_hook", "resid_pre"), ("output_hook", "resid_post"))
}
(folder / "trained").mkdir()
trained = trainer.produce(settings, sides, folder / "trained")
print(json.dumps({
    "library": latent_ledger.__file__, "facts": facts, "gates": gates,
    "indices": indices.tolist(), "learnt": trained["learnt"],
    "site": str(load_coder(folder / "trained").site),
}))
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the library with everything that the pages say."""
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(PROJECT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for page in PAGES:
        carry_out(page, root)
    return root


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"W_enc": (D, WIDTH), "W_dec": (WIDTH, D), "b_enc": (WIDTH,), "b_dec": (D,)}
    drawn = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return drawn | {"k": np.array(K)}


@pytest.fixture(scope="module")
def done(checkout, arrays, tmp_path_factory) -> dict:
    """What the copy makes of the pages' configurations."""
    folder = tmp_path_factory.mktemp("run")
    source = folder / "coders" / "layer-2"
    source.mkdir(parents=True)
    np.savez(source / "coder.npz", **arrays)
    for page in PAGES:
        snippet = configuration(page).replace("./coders/layer-2", str(source))
        (folder / f"{page}.yaml").write_text(snippet)
    environment = {**os.environ, "PYTHONPATH": f"{checkout / 'src'}:{PROJECT}"}
    run = subprocess.run(
        [sys.executable, "-c", RUN, str(folder)],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    output = json.loads(run.stdout.splitlines()[-1])
    assert output["library"].startswith(str(checkout))
    return output


def test_the_new_format_is_recognised_loaded_and_encoded(done, arrays):
    assert done["facts"] == {
        "format": "npz_topk",
        "file": "coder.npz",
        "architecture": "sae",
        "d_in": D,
        "width": WIDTH,
        "k": K,
    }
    assert len(done["indices"]) == 200 * K


def test_the_new_format_passes_both_gates(done):
    assert done["gates"]["reader_fidelity"]["against"] == "the definition of npz_topk"
    assert done["gates"]["saelens_fidelity"]["against"] == "sae_lens.TopKSAE"
    assert done["gates"]["saelens_fidelity"]["wrong_variant"]["fails"]


def test_the_new_architecture_is_trained_at_its_hook_points(done):
    assert done["site"] == "layers.2.resid_pre -> resid_post"
    assert done["learnt"] == ["W_dec", "b_dec", "encoder.weight", "encoder.bias"]
