"""The real loading paths on small files of the published formats, by their published ids.

In a process of its own: the libraries read the variables of the hub's cache when they load.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import tiny_hub
from tests.project import PROJECT

LOADS = """
import json, sys
from pathlib import Path
import datasets, torch
from latent_ledger.models import language_model
from latent_ledger.coders.formats.gemma_scope import fetch as gemma_scope
from latent_ledger.models.hook_points import CoderSite
from latent_ledger.models.sources.published import pin_hub
out = Path(sys.argv[1])
reference = pin_hub({"source": "google/gemma-2-2b", "revision": None}, {}, out, Path)
model = language_model.load_model(out, "bfloat16")
config = model.config
pile = datasets.load_dataset("NeelNanda/pile-10k", split="train[:64]")
bios = datasets.load_dataset("LabHC/bias_in_bios", split="train")
coders = {}
for layer, name in ((5, 68), (12, 82), (19, 73)):
    folder = out / f"scope-{layer}"
    folder.mkdir()
    coders[layer] = gemma_scope.produce_pretrained(
        {"source": "google/gemma-scope-2b-pt-res", "layer": layer, "input_hook": "resid_post",
         "output_hook": "resid_post", "path": f"layer_{layer}/width_16k/average_l0_{name}"}, folder)
print(json.dumps({
    "files": sorted(reference["files"]), "layers": model.config.num_hidden_layers,
    "dtype": str(next(model.parameters()).dtype),
    "caps": [config.attn_logit_softcapping, config.final_logit_softcapping],
    "sliding": sorted(set(config.layer_types)),
    "pile": [len(pile), sorted(pile.column_names)],
    "bios": [sorted(bios.column_names), sorted(set(bios["profession"]))],
    "widths": {layer: [facts["d_in"], facts["width"]] for layer, facts in coders.items()},
}))
"""

ABSENT = """
import sys
from pathlib import Path
from latent_ledger.models.sources.published import pin_hub
model = {"source": "google/gemma-2-9b", "revision": None}
pin_hub(model, {}, Path(sys.argv[1]), Path)
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    return tiny_hub.build(tmp_path_factory.mktemp("hub") / "tiny")


def run(hub: Path, code: str, out: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, **tiny_hub.environment(hub), "PYTHONPATH": str(PROJECT / "src")}
    return subprocess.run(
        [sys.executable, "-c", code, str(out)], env=environment, capture_output=True, text=True
    )


@pytest.mark.slow
def test_published_ids_resolve_offline_in_their_own_formats(hub, tmp_path):
    done = run(hub, LOADS, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "model.safetensors.index.json" in loaded["files"]
    assert sum(name.startswith("model-0") for name in loaded["files"]) > 1, "weights in shards"
    assert loaded["layers"] > 19 and loaded["dtype"] == "torch.bfloat16"
    assert loaded["caps"] == [50.0, 30.0]
    assert loaded["sliding"] == ["full_attention", "sliding_attention"]
    assert loaded["pile"] == [64, ["meta", "text"]]
    assert loaded["bios"] == [["gender", "hard_text", "profession"], list(range(28))]
    assert loaded["widths"] == {"5": [32, 256], "12": [32, 256], "19": [32, 256]}


@pytest.mark.slow
def test_what_the_cache_lacks_is_one_line_that_says_what_to_type(hub, tmp_path):
    done = run(hub, ABSENT, tmp_path)
    assert done.returncode != 0
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("latent_ledger.lib.errors.LedgerError: The model google/gemma-2-9b")
    assert "hf download google/gemma-2-9b" in line
