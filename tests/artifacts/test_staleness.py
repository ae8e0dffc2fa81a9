"""What Snakemake cannot see is told to it, and nothing in results/ is touched."""

import json
import shutil
from base64 import urlsafe_b64encode
from functools import partial
from types import SimpleNamespace

import pytest

from latent_ledger.artifacts import staleness
from latent_ledger.artifacts.provenance import action_key, ingredients
from latent_ledger.artifacts.store import Store
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json, write_json

PATH = "results/toy/probing/a.json"
JOBS = {PATH: staleness.Made("probing", {"k": 1})}


@pytest.fixture
def store(tmp_path) -> Store:
    """A store with the payload of one manifest, made by code 'c' in environment 'e'."""
    store = Store(tmp_path / "store")
    staged = store.stage()
    (staged / "table.txt").write_text("1")
    made_by = ingredients("probing", {"k": 1}, "c", "e", {})
    key = action_key(made_by)
    manifest = store.commit(staged, facts={}, key=key, made_by=made_by)
    manifest.write(tmp_path / PATH)
    return store


def outdated(store: Store | None, root, code: str = "c", env: str = "e") -> dict[str, str]:
    return staleness.outdated(JOBS, project(code, env), store, root)


def project(code: str = "c", env: str = "e") -> SimpleNamespace:
    """A checkout with this code and environment for every job."""
    return SimpleNamespace(code_digest=lambda _rule: code, environment=lambda _settings: env)


def record(root):
    return root / ".snakemake/metadata" / urlsafe_b64encode(PATH.encode()).decode()


def test_a_current_manifest_is_not_outdated(store, tmp_path):
    assert outdated(store, tmp_path) == {}


@pytest.mark.parametrize(
    ("change", "what", "param"),
    [({"code": "d"}, "code", "'code:{}'"), ({"env": "f"}, "environment", "'env:{}'")],
)
def test_a_stale_manifest_is_outdated_unless_snakemake_sees_it(
    store, tmp_path, change, what, param
):
    reason = f"its {what} changed, and Snakemake's own record"
    assert outdated(store, tmp_path, **change) == {PATH: f"{reason} of it is gone"}
    record(tmp_path).parent.mkdir(parents=True)
    record(tmp_path).write_text(json.dumps({"params": [param.format("before")]}))
    assert outdated(store, tmp_path, **change) == {}, "Snakemake compares params by itself"
    (now,) = change.values()
    for content in ({"params": [param.format(now)]}, {"params": []}, {}, []):
        record(tmp_path).write_text(json.dumps(content))
        assert outdated(store, tmp_path, **change) == {PATH: f"{reason} is not of this manifest"}


def test_a_copied_old_manifest_with_other_settings_is_outdated(store, tmp_path):
    record(tmp_path).parent.mkdir(parents=True)
    record(tmp_path).write_text(json.dumps({"params": ["{'k': 2}", "'code:c'"]}))
    newer = {PATH: staleness.Made("probing", {"k": 2})}
    assert staleness.outdated(newer, project(), store, tmp_path) == {
        PATH: "its settings changed, and Snakemake's own record is not of this manifest"
    }


def test_a_manifest_of_other_inputs_is_outdated(store, tmp_path):
    """Settings do not always name the inputs: a circuit's layers are only in its inputs."""
    (tmp_path / "results/toy/coders").mkdir()
    coder = "results/toy/coders/a.json"
    shutil.copy(tmp_path / PATH, tmp_path / coder)
    jobs = {coder: JOBS[PATH], PATH: JOBS[PATH]._replace(inputs={"coder": coder})}
    find = partial(staleness.outdated, jobs, project(), store, tmp_path)
    assert find() == {PATH: "it was made from other inputs"}
    manifest = read_json(tmp_path / PATH)
    manifest["made_by"]["inputs"] = {"coder": "another digest"}
    write_json(tmp_path / PATH, manifest)
    assert find() == {PATH: "it was made from another version of its input 'coder'"}
    manifest["made_by"]["inputs"] = {"coder": read_json(tmp_path / coder)["digest"]}
    write_json(tmp_path / PATH, manifest)
    assert find() == {}


def test_a_long_path_is_marked_where_snakemake_looks(tmp_path):
    from snakemake.persistence.file import FilePersistence

    path = f"results/{'x' * 300}/model.json"
    staleness.mark_outdated({path: "why"}, tmp_path)
    (marked,) = (file for file in (tmp_path / ".snakemake/metadata").rglob("*") if file.is_file())
    backend = object.__new__(FilePersistence)
    backend._max_len = None
    expected = backend._record_path(str(tmp_path / ".snakemake/metadata"), path)
    assert str(marked) == expected


def test_a_manifest_whose_payload_is_gone_is_outdated(store, tmp_path):
    for folder in (store.root / "payloads").rglob("table.txt"):
        folder.chmod(0o644)
    (store.root / "payloads").rename(tmp_path / "elsewhere")
    assert "is not in the store" in outdated(store, tmp_path)[PATH]
    assert outdated(None, tmp_path) == {}, (
        "where the store is not here, payloads are not looked for"
    )


def test_an_unreadable_manifest_is_outdated(store, tmp_path):
    (tmp_path / PATH).write_text("{")
    assert outdated(store, tmp_path) == {PATH: "it is no readable manifest"}


def test_manifests_without_their_store_are_refused_in_one_line(store, tmp_path):
    nowhere = Store(tmp_path / "nowhere")
    with pytest.raises(LedgerError, match="1 manifests .* rest on the store .*nowhere") as caught:
        outdated(nowhere, tmp_path)
    assert "\n" not in str(caught.value) and "LATENT_LEDGER_STORE" in str(caught.value)


def test_judging_and_marking_touch_nothing_in_results(store, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*")}
    staleness.mark_outdated(outdated(store, tmp_path, code="d"), tmp_path)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*")} == before
    metadata = json.loads(record(tmp_path).read_text())
    assert metadata["record_format_version"] == staleness.RECORD_FORMAT
    assert "its code changed" in metadata["params"][0]


def test_the_record_format_is_snakemakes_own():
    """An update of Snakemake that changes it must change staleness.py too."""
    from snakemake.persistence import RECORD_FORMAT_VERSION

    assert staleness.RECORD_FORMAT == RECORD_FORMAT_VERSION
