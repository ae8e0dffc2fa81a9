"""Coders that somebody else trained: recognised, fetched, and checked against what is said."""

from __future__ import annotations

import pytest

from latent_ledger.coders import pretrained
from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.lib.errors import LedgerError
from latent_ledger.models.hook_points import CoderSite
from tests.coders.coder_folders import WIDTH, D, K, gemma_scope_folder, sparsify_folder


def settings(source, **more):
    settings = {
        "architecture": "sae",
        "layer": 3,
        "input_hook": "resid_post",
        "output_hook": "resid_post",
    }
    return {
        **settings,
        "source": str(source),
        "path": None,
        "revision": None,
        "width": None,
        **more,
    }


def test_a_local_gemma_scope_folder_is_recognised_by_its_file(tmp_path):
    gemma_scope_folder(tmp_path / "hub" / "layer_3")
    out = tmp_path / "out"
    out.mkdir()
    facts = pretrained.produce(settings(tmp_path / "hub", path="layer_3", width=WIDTH), out)
    assert facts == {
        "format": "gemma_scope",
        "file": "layer_3/params.npz",
        "architecture": "sae",
        "d_in": D,
        "width": WIDTH,
    }
    assert load_coder(out).site == CoderSite.at(3, "resid_post")


def test_local_sparsify_folder_is_recognised_with_its_k(tmp_path):
    sparsify_folder(tmp_path / "hub" / "layers.3", "sae")
    out = tmp_path / "out"
    out.mkdir()
    facts = pretrained.produce(settings(tmp_path / "hub", path="layers.3"), out)
    assert (facts["format"], facts["k"], facts["width"]) == ("sparsify", K, WIDTH)
    assert load_coder(out).k == K


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"width": WIDTH + 1}, f"has width {WIDTH}, and the configuration says {WIDTH + 1}"),
        ({"architecture": "transcoder"}, "architecture sae, and the configuration says transcoder"),
    ],
)
def test_coder_that_contradicts_the_configuration_is_refused(tmp_path, stated, message):
    gemma_scope_folder(tmp_path / "hub")
    (tmp_path / "out").mkdir()
    with pytest.raises(LedgerError, match=message):
        pretrained.produce(settings(tmp_path / "hub", **stated), tmp_path / "out")


def test_a_folder_without_a_coder_says_which_files_it_needs(tmp_path):
    with pytest.raises(LedgerError, match="holds no coders: .*params.npz or sae.safetensors"):
        pretrained.produce(settings(tmp_path), tmp_path)


def test_a_hub_repository_is_recognised_by_its_name():
    assert pretrained.recognise("google/gemma-scope-2b-pt-res", "layer_3") == "gemma_scope"
    assert pretrained.recognise("EleutherAI/sae-pythia", None) == "sparsify"
