"""The registry of formats: every folder is whole and listed, and an unknown format is an error."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from latent_ledger.coders import formats, pretrained
from latent_ledger.coders.formats import recognition, registry
from latent_ledger.config.schema_file import schema
from latent_ledger.lib.errors import LedgerError
from tests.coders.test_pretrained import settings

PARTS = {
    "entry": ("FORMAT",),
    "loader": ("load",),
    "fetch": ("produce_pretrained",),
    "reference": ("library",),
    "saelens": ("to_saelens", "wrong_variant"),
}


def test_every_folder_is_listed_and_has_every_part():
    (package,) = formats.__path__
    folders = {path.parent.name for path in Path(package).glob("*/__init__.py")}
    assert folders == set(registry.NAMES)
    for name in registry.NAMES:
        assert recognition.entry(name).name == name
        for part, functions in PARTS.items():
            module = importlib.import_module(f"{formats.__name__}.{name}.{part}")
            assert all(hasattr(module, function) for function in functions), module


def test_the_schema_takes_its_formats_from_the_registry():
    coder = schema()["properties"]["coders"]["additionalProperties"]["properties"]
    assert coder["format"]["enum"] == list(registry.NAMES)


def test_an_unknown_format_is_an_error_that_names_the_known_ones(tmp_path):
    known = r"known: gemma_scope, sparsify; did you mean \"gemma_scope\"\?$"
    with pytest.raises(LedgerError, match=f"unknown coder format 'gemma-scope'; {known}"):
        pretrained.produce(settings(tmp_path, format="gemma-scope"), tmp_path)


@pytest.mark.parametrize("repository", ["jbloom/GPT2-Small-SAEs", "somebody/sae-of-mine"])
def test_a_repository_whose_name_tells_no_format_is_an_error(repository, tmp_path):
    with pytest.raises(LedgerError, match="cannot be told .* to one of gemma_scope, sparsify"):
        pretrained.produce(settings(repository), tmp_path)


def test_a_folder_with_two_coders_is_an_error(tmp_path):
    for name in registry.NAMES:
        (tmp_path / recognition.entry(name).file).touch()
    with pytest.raises(LedgerError, match="holds several coders"):
        recognition.recognise(str(tmp_path), None)
