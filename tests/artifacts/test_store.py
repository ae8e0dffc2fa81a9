"""The store: equal content gives equal digests, and altered content is never used."""

import errno
import os

import pytest

from latent_ledger.artifacts.provenance import ingredients
from latent_ledger.artifacts.store import Manifest, Store
from latent_ledger.lib import files
from latent_ledger.lib.errors import CorruptPayload, LedgerError
from latent_ledger.lib.files import read_json, write_bytes, write_json

MADE_BY = ingredients("test", {}, "code", "env", {})


def put(store, content: bytes, key: str = "k1", **facts) -> Manifest:
    staged = store.stage()
    (staged / "data.bin").write_bytes(content)
    manifest = store.commit(staged, facts=facts, key=key, made_by=MADE_BY)
    store.record(key, manifest, {"seconds": 1})
    return manifest


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_equal_content_gives_one_payload_and_equal_manifest_bytes(store, tmp_path):
    put(store, b"abc", n=1).write(tmp_path / "a.json")
    put(store, b"abc", n=1).write(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert len(list(store.payload_digests())) == 1


def test_facts_are_part_of_the_content(store):
    assert put(store, b"abc", n=1).digest != put(store, b"abc", n=2).digest


def test_manifest_holds_neither_time_nor_host_nor_path(store, tmp_path):
    put(store, b"abc").write(tmp_path / "m.json")
    text = (tmp_path / "m.json").read_text()
    assert str(tmp_path) not in text and os.uname().nodename not in text


def test_lookup_hits_only_while_the_payload_is_complete(store):
    manifest = put(store, b"abc")
    assert store.lookup("k1")["manifest"]["digest"] == manifest.digest
    assert store.lookup("k2") is None
    (store.payload_folder(manifest.digest) / "data.bin").unlink()
    assert store.lookup("k1") is None


def test_payload_with_a_flipped_byte_is_named_and_set_aside(store, tmp_path):
    manifest = put(store, b"abcdef")
    path = tmp_path / "results" / "m.json"
    manifest.write(path)
    file = store.payload_folder(manifest.digest) / "data.bin"
    file.chmod(0o644)
    file.write_bytes(b"abcdeF")
    assert store.verify() == [f"test {manifest.digest[:12]}: data.bin"]
    with pytest.raises(CorruptPayload, match=r"data\.bin of .*m\.json.*recomputed"):
        store.open(path).folder()
    assert not path.exists(), "the manifest must go, so that its job runs again"
    assert store.lookup("k1") is None
    assert put(store, b"abcdef").digest == manifest.digest
    assert store.first_wrong_file(manifest) is None


def test_committing_over_a_corrupt_payload_heals_it(store):
    manifest = put(store, b"abcdef")
    file = store.payload_folder(manifest.digest) / "data.bin"
    file.chmod(0o644)
    file.write_bytes(b"abcdeF")
    put(store, b"abcdef")
    assert store.first_wrong_file(manifest) is None


def test_equal_key_with_other_content_is_nondeterminism(store):
    first = put(store, b"abc")
    staged = store.stage()
    (staged / "data.bin").write_bytes(b"other")
    second = store.commit(staged, facts={}, key="k1", made_by=MADE_BY)
    assert store.record("k1", second, {}) == first.digest
    assert store.record("k1", second, {}) is None


def test_payload_files_are_read_only(store):
    folder = store.payload_folder(put(store, b"abc").digest)
    assert not (folder / "data.bin").stat().st_mode & 0o222


def test_garbage_collection_keeps_payloads_that_are_named(store):
    kept, lost = put(store, b"abc", key="k1"), put(store, b"defg", key="k2")
    count, freed = store.collect_garbage({kept.digest})
    assert count == 1 and freed >= 4
    assert store.lookup("k1") and store.lookup("k2") is None
    assert not store.payload_folder(lost.digest).exists()


def test_two_stores_on_one_folder_share_everything(store):
    manifest = put(store, b"abc")
    assert Store(store.root).lookup("k1")["manifest"]["digest"] == manifest.digest


def test_a_write_that_dies_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_json(path, {"old": 1})

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(LedgerError, match=r"disk that holds .*x\.json is full.*run the same"):
        write_bytes(path, b"new")
    assert read_json(path) == {"old": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize("content", ["", "{", '{"rule": 1}'])
def test_a_broken_manifest_is_one_line(tmp_path, content):
    path = tmp_path / "m.json"
    path.write_text(content)
    with pytest.raises(LedgerError, match=r"m\.json is (not valid JSON|no manifest)") as caught:
        Manifest.read(path)
    assert "\n" not in str(caught.value)


def test_json_floats_are_rounded_and_nan_is_null():
    assert files.dumps({"b": 0.1 + 0.2, "a": float("nan")}) == '{\n "a": null,\n "b": 0.3\n}\n'
