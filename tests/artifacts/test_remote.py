"""Jobs whose store is on a Volume: completed from small files, or said to be made elsewhere."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from latent_ledger.artifacts import remote
from latent_ledger.artifacts.provenance import action_key, ingredients
from latent_ledger.artifacts.store import Manifest, Store
from latent_ledger.lib.files import read_json, write_json


@pytest.fixture
def volume(tmp_path, monkeypatch):
    """A Volume's folder with the action of one finished job, beside the working directory."""
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path / "volume/store")
    staged = store.stage()
    (staged / "table.txt").write_text("1")
    made_by = ingredients("probing", {"k": 1}, "c", "e", {})
    key = action_key(made_by)
    manifest = store.commit(staged, facts={}, key=key, made_by=made_by)
    store.record(key, manifest, {"status": "done", "seconds": 3.0})
    return tmp_path / "volume"


def reading(volume: Path, paths: list | None = None):
    """A read of the Volume that remembers which files were asked for."""

    def read(path: str) -> bytes | None:
        if paths is not None:
            paths.append(path)
        return (volume / path).read_bytes() if (volume / path).is_file() else None

    return read


def job(k: int = 1, recompute: int = 0, **changed):
    """A job as Snakemake hands it over."""

    class Named(dict):
        __getattr__ = dict.__getitem__

        def __iter__(self):
            return iter(self.values())

        def items(self):
            return [(name, value) for name, value in zip(self.keys(), self.values(), strict=True)]

    params = SimpleNamespace(settings={"k": k}, code="code:c", env="env:e", store="store:.store")
    log = SimpleNamespace(record="results/toy/records/probing/a.json")
    return SimpleNamespace(
        rule=SimpleNamespace(script="workflow/scripts/probing.py"),
        params=params,
        input=Named(),
        output=["results/toy/probing/a.json"],
        log=log,
        resources={"recompute": recompute},
        threads=1,
        **changed,
    )


def test_a_job_whose_key_the_volume_has_is_completed_with_its_record(volume, tmp_path):
    asked = []
    assert remote.complete(job(), reading(volume, asked)) is True
    manifest = Manifest.read(tmp_path / "results/toy/probing/a.json")
    assert manifest.made_by["settings"] == {"k": 1}
    assert read_json(tmp_path / "results/toy/records/probing/a.json")["status"] == "restored"
    assert len(asked) == 1, "one small file, and no payload"


@pytest.mark.parametrize("changed", [{"k": 2}, {"recompute": 1}], ids=["other key", "forced"])
def test_a_job_with_another_key_or_a_forced_one_runs(volume, tmp_path, changed):
    assert remote.complete(job(**changed), reading(volume)) is False
    assert not (tmp_path / "results").exists(), "nothing is written"


def test_a_job_that_is_none_of_the_stores_runs(volume):
    ledger = job()
    ledger.log = SimpleNamespace()
    assert remote.complete(ledger, reading(volume)) is False


def test_manifests_of_another_store_are_named_and_stay(volume, tmp_path):
    remote.complete(job(), reading(volume))
    path = "results/toy/probing/a.json"
    digest = Manifest.read(tmp_path / path).digest
    assert remote.elsewhere([path, "results/toy/absent.json"], {digest}, tmp_path) == []
    assert remote.elsewhere([path], set(), tmp_path) == [path]
    assert (tmp_path / path).exists()


def test_a_manifest_that_a_container_saw_corrupt_is_forgotten(volume, tmp_path):
    remote.complete(job(), reading(volume))
    path, record = "results/toy/probing/a.json", "results/toy/records/circuits/a.json"
    write_json(tmp_path / record, {"status": "failed", "corrupt": path})
    (tmp_path / "results/toy/records/empty.json").write_text("")
    records = [record, "results/toy/records/empty.json", "results/toy/records/none.json"]
    assert remote.forget_corrupt(records, tmp_path) == [path]
    assert not (tmp_path / path).exists()
    assert remote.forget_corrupt(records, tmp_path) == []


def test_the_digests_of_a_volume_that_does_not_exist_are_none(monkeypatch):
    import modal

    def missing(name):
        raise modal.exception.NotFoundError(name)

    monkeypatch.setattr(modal.Volume, "from_name", missing)
    assert remote.digests_on_volume("latent-ledger") == set()
    entry = SimpleNamespace(path="store/payloads/ab/abc/facts.json")
    other = SimpleNamespace(path="store/payloads/ab/abc/table.txt")
    listed = SimpleNamespace(listdir=lambda path, recursive: [entry, other])
    monkeypatch.setattr(modal.Volume, "from_name", lambda name: listed)
    assert remote.digests_on_volume("latent-ledger") == {"abc"}, "one per payload's facts"
