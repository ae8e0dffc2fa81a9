"""The commands that check and clear a store."""

import shutil

import pytest

from latent_ledger.cli import main
from tests.ledger.planted import RECONSTRUCTION, Planted, planted_in


@pytest.fixture
def planted(tmp_path) -> Planted:
    return planted_in(tmp_path)


def test_cli_verifies_and_collects(planted, capsys, monkeypatch):
    monkeypatch.chdir(planted.root)
    assert main(["--store", "store", "verify"]) == 0
    (planted.at(RECONSTRUCTION)).unlink()
    assert main(["--store", "store", "gc", "--dry-run"]) == 0
    assert "1 payloads would go, 12 stay" in capsys.readouterr().out
    assert main(["--store", "store", "gc"]) == 0
    assert len(list(planted.store.payload_digests())) == 12
    assert main(["--store", "nowhere", "verify"]) == 1
    assert "There is no store at" in capsys.readouterr().err


def test_cli_collects_nothing_where_no_manifest_lies(planted, capsys, monkeypatch):
    """A wrong folder would leave no payload."""
    monkeypatch.chdir(planted.root)
    before = list(planted.store.payload_digests())
    (planted.root / "empty").mkdir()
    for folder, message in (
        ("nowhere", "There is no nowhere/ here"),
        ("empty", "No manifest lies in"),
    ):
        assert main(["--store", "store", "gc", "--results", folder]) == 1
        assert message in capsys.readouterr().err
    below = planted.root / "records/copy"
    shutil.copytree(planted.root / "results", below)
    assert main(["--store", "store", "gc", "--results", str(below)]) == 0
    assert list(planted.store.payload_digests()) == before


def test_a_broken_action_is_a_miss_and_is_told(planted, capsys, monkeypatch):
    monkeypatch.chdir(planted.root)
    (first, second, *_) = sorted((planted.root / "store/actions").glob("*/*.json"))
    first.write_text("{}")
    second.write_text("{")
    assert planted.store.lookup(first.stem) is None is planted.store.lookup(second.stem)
    assert main(["--store", "store", "verify"]) == 1
    assert capsys.readouterr().out.count("delete it") == 2
