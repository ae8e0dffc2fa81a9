"""YAML is read strictly, and overlays are laid over it key by key."""

from __future__ import annotations

import pytest
import yaml

from latent_ledger.config.coder_specs import coder_specs
from latent_ledger.config.reading import merge, read_yaml
from latent_ledger.experiment import load
from latent_ledger.lib.errors import LedgerError


def test_overlays_are_merged_key_by_key_and_lists_are_replaced(tiny, tmp_path):
    base, overlay = tmp_path / "base.yaml", tmp_path / "more.yaml"
    base.write_text(yaml.safe_dump(tiny, sort_keys=False))
    overlay.write_text("training: {k: [8]}\ncoders: {deep: {architecture: transcoder, layer: 3}}\n")
    config = load(base, [overlay, {"training": {"seeds": [3]}, "experiment": "other"}])
    assert config["experiment"] == "other"
    assert config["training"]["width"] == 1024
    assert list(config["coders"])[-1] == "deep"
    assert coder_specs(config)[-1].name == "deep-k8-s3"
    assert merge({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}}) == {"a": {"b": 1, "c": [2]}}


def test_a_repeated_key_is_an_error_with_both_lines(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text("training:\n  width: 8\n  k: [1]\n  width: 16\n")
    with pytest.raises(LedgerError) as caught:
        load(path)
    assert str(caught.value) == (
        f"{path}, line 4: the key 'width' is already on line 2; keep one of them."
    )


def test_yaml_anchors_may_be_overruled(tmp_path):
    path = tmp_path / "anchors.yaml"
    path.write_text("a: &x {k: 1, m: 2}\nb:\n  <<: *x\n  k: 3\n")
    assert read_yaml(path)["b"] == {"k": 3, "m": 2}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: [1\nb: 2\n", ", line 2: not valid YAML: did not find expected ',' or ']'."),
        (b"- a\n", " holds no keys: it must be a YAML mapping."),
        (b"", " holds no keys: it must be a YAML mapping."),
        (b"a: \xff\n", " is not UTF-8 text: save it as UTF-8."),
        (None, " does not exist: name an existing configuration file."),
    ],
)
def test_unreadable_files_are_one_line(tmp_path, content, expected):
    path = tmp_path / "broken.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LedgerError) as caught:
        read_yaml(path)
    assert str(caught.value) == f"{path}{expected}"


def test_a_folder_in_the_place_of_a_file_is_one_line(tmp_path):
    with pytest.raises(LedgerError, match="cannot be read .Is a directory.: is it a file"):
        read_yaml(tmp_path)
