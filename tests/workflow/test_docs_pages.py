"""The pages that add a coder, an evaluation and a scorer, carried out on the micro experiment."""

import numpy as np
import pytest
import yaml

from tests.docs_pages import carry_out, configuration
from tests.workflow.conftest import CORE, MICRO, Checkout, copy_project

pytestmark = pytest.mark.slow

D, WIDTH = 32, 64
OVERLAY = """
coders: {published: {layer: 1}}
evaluations:
  usage: {}
  autointerp:
    {select: {coders: [sae-mlp]}, latents: 64, reference_frequency: 0.1, strata: [0.01, 0.1],
     min_examples: 20, n_train: 10, n_test: 8, n_negatives: 12, quantiles: 2, example_tokens: 16,
     resamples: 200}
comparisons: {families: {usage: {metrics: [usage.used_share], pairs: [[sae-mlp, transcoder]]}}}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Checkout:
    """A finished experiment with the coder, the evaluation and the scorer of the pages."""
    root = copy_project(tmp_path_factory.mktemp("pages") / "checkout")
    for page in ("add-a-coder", "add-an-evaluation", "add-a-scorer"):
        carry_out(page, root)
    overlays = {"all": OVERLAY}
    overlays |= {page: configuration(page) for page in ("add-a-coder", "add-a-scorer")}
    for name, text in overlays.items():
        (root / f"{name}.yaml").write_text(text)
    source = yaml.safe_load(overlays["add-a-coder"])["coders"]["published"]["source"]
    (root / source).mkdir(parents=True)
    rng = np.random.default_rng(0)
    shapes = {"W_enc": (D, WIDTH), "W_dec": (WIDTH, D), "b_enc": WIDTH, "b_dec": D}
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    np.savez(root / source / "coder.npz", **arrays, k=np.array(8))
    files = ("add-a-coder.yaml", "add-a-scorer.yaml", "all.yaml")
    checkout = Checkout(root, (MICRO, CORE, *files))
    checkout.snakemake()
    return checkout


def test_the_pages_evaluation_gives_rows_with_numbers_and_a_section(done):
    row = done.row("usage-sae-mlp-k8-s0")
    assert row["key_results"].endswith("% of latents fire")
    assert 0 < row["metrics"][0]["estimate"] <= 1
    assert done.row("h2h-used-share-sae-mlp-vs-transcoder-k8-s0")["key_results"]
    text = (done.root / "results/ledger.md").read_text()
    assert "## Which share of its latents is used?" in text


def test_the_pages_coder_passes_its_gate_and_is_measured(done):
    assert done.row("pretrained-published")["key_results"].startswith("npz_topk, coder.npz: 64 lat")
    assert done.row("gate-reader-published")["label"] == "reproduced"
    assert done.row("recon-published")["metrics"] and done.row("usage-published")["metrics"]


def test_the_pages_scorer_scores_by_chance(done):
    row = done.row("ai-sae-mlp-k8-s0-chance")
    assert "coin of seed 1" in row["coder_type"] and row["label"] == "inconclusive"
