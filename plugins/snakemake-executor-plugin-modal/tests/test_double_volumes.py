"""Volumes, secrets and images of the local Modal server, driven by the real client."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import modal
import pytest
from double_desk import until
from local_modal import ImageFault

pytestmark = pytest.mark.double


def test_volume_files_are_uploaded_read_listed_and_removed(desk):
    volume = desk.volume()
    large = b"start" + b"\0" * (9 << 20) + b"end" + b"\0" * 10  # two blocks, zeros at both ends
    with volume.batch_upload() as batch:
        batch.put_file(BytesIO(large), "/deep/large.bin")
        batch.put_file(BytesIO(b""), "/empty")

    assert b"".join(volume.read_file("deep/large.bin")) == large
    assert (desk.server.volume("store") / "deep/large.bin").read_bytes() == large
    assert sorted(entry.path for entry in volume.listdir("/", recursive=True)) == [
        *("deep", "deep/large.bin", "empty")
    ]
    with pytest.raises(FileExistsError), volume.batch_upload() as batch:
        batch.put_file(BytesIO(b"other"), "/empty")
    volume.remove_file("deep", recursive=True)
    with pytest.raises(FileNotFoundError):
        b"".join(volume.read_file("deep/large.bin"))
    with pytest.raises(modal.exception.NotFoundError):
        volume.listdir("/nowhere")


def test_volume_writes_reach_others_after_sync_and_after_the_end(desk):
    mounts = {"/store": desk.volume()}
    script = "echo 1 > /store/early; sync /store; echo 2 > /store/late; sleep 30"
    writer = desk.create("bash", "-c", script, volumes=mounts)
    committed = desk.server.volume("store")
    until(lambda: (committed / "early").exists())

    reader = desk.run("bash", "-c", "cd /store; ls", volumes=mounts)
    assert reader.stdout.read() == "early\n"
    assert not (committed / "late").exists()
    writer.terminate()
    writer.wait(raise_on_termination=False)
    assert (committed / "late").read_text() == "2\n"


def test_volume_commit_removes_files_and_keeps_those_of_others(desk):
    volume = desk.server.volume("store")
    (volume / "old").write_text("old")
    mounts = {"/store": desk.volume()}
    slow = desk.create("bash", "-c", "rm /store/old; sleep 1", volumes=mounts)
    until(lambda: desk.server.sandboxes[0].state == "running")
    desk.run("bash", "-c", "echo new > /store/new", volumes=mounts)

    slow.wait()

    assert sorted(path.name for path in volume.iterdir()) == ["new"]


def test_volume_write_into_a_committed_file_shows_after_the_commit_only(desk):
    big = "x" * 20_000
    (desk.server.volume("store") / "log").write_text("1")
    script = f"printf {big} > /store/own; sync /store; echo 2 > /store/own; echo 2 > /store/log"
    mounts = {"/store": desk.volume()}

    desk.create("bash", "-c", script + "; touch /tmp/done; sleep 30", volumes=mounts)
    record = desk.server.sandboxes[0]
    until(lambda: (record.folder / "disk/tmp/done").exists())

    committed = desk.server.volume("store")
    assert ((committed / "own").read_text(), (committed / "log").read_text()) == (big, "1")


def test_volume_with_changing_files_can_be_mounted(desk):
    volume = desk.volume()
    with volume.batch_upload() as batch:
        for n in range(40):
            batch.put_file(BytesIO(b"x"), f"/jobs/{n}/in")

    def run(n: int) -> int:
        sandbox = desk.run("test", "-e", f"/store/jobs/{n}/in", volumes={"/store": volume})
        volume.remove_file(f"jobs/{n}", recursive=True)
        return sandbox.returncode

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(run, range(40))) == {0}
    assert {record.status for record in desk.server.sandboxes} == {"SUCCESS"}
    assert not list((desk.server.volume("store") / "jobs").iterdir())


def test_sync_that_fails_has_an_error_in_the_sandbox(desk):
    desk.server.faults.sync_fails = 1
    script = "echo 1 > /store/a; sync /store || echo refused; sync /store && echo done"

    sandbox = desk.run("bash", "-c", script, volumes={"/store": desk.volume()})

    assert sandbox.stdout.read() == "refused\ndone\n"
    assert "Input/output error" in sandbox.stderr.read()


def test_volume_or_secret_that_is_absent_raises_not_found(desk):
    with pytest.raises(modal.exception.NotFoundError, match="nowhere"):
        desk.volume("nowhere", create_if_missing=False).hydrate()
    secret = modal.Secret.from_name("huggingface", required_keys=["HF_TOKEN"], client=desk.client)
    with pytest.raises(modal.exception.NotFoundError, match="huggingface"):
        secret.hydrate()
    desk.server.secret("huggingface", OTHER="x")
    with pytest.raises(modal.exception.NotFoundError, match="HF_TOKEN"):
        secret.hydrate()


def test_images_with_equal_definitions_are_built_once_with_their_files(desk, tmp_path):
    (tmp_path / "lock").write_text("numpy==1.26.4\n")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "run.py").write_text("print('ran')")
    plain = modal.Image.from_registry("ubuntu:22.04", add_python="3.11")

    def image():
        built = plain.pip_install_from_requirements(tmp_path / "lock")
        return built.add_local_dir(tmp_path / "code", "/code")

    first = desk.run("python", "/code/run.py", image=image())
    layers = len(desk.server.images)
    second = desk.run("/usr/local/bin/python3", "/code/run.py", image=image())

    assert first.stdout.read() == second.stdout.read() == "ran\n"
    assert len(desk.server.images) == layers
    assert [layer.builds for layer in desk.server.images] == [1] * layers
    assert "FROM ubuntu:22.04" in desk.server.sandboxes[0].image.all_commands
    assert "numpy==1.26.4" in desk.server.sandboxes[0].image.text


def test_image_that_does_not_build_raises_its_message(desk):
    desk.server.faults.images.append(ImageFault("nosuchpackage", "no matching distribution"))

    with pytest.raises(modal.exception.ImageBuildError, match="no matching distribution"):
        desk.create("true", image=desk.image.pip_install("nosuchpackage"))
    assert not desk.server.sandboxes
