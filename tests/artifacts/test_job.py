"""A job: a hit restores, a miss computes, a failure leaves its reason."""

import errno
import fcntl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from latent_ledger.artifacts.job import Job, fill
from latent_ledger.artifacts.store import Store
from latent_ledger.lib.errors import GateError
from latent_ledger.lib.files import read_json


def job(tmp_path: Path, **changes) -> Job:
    defaults = {
        "rule": "demo",
        "settings": {"k": 1},
        "inputs": {},
        "outputs": {"": tmp_path / "results/demo.json"},
        "code": "c",
        "env": "e",
        "store": Store(tmp_path / "store"),
        "record": tmp_path / "results/records/demo.json",
    }
    return Job(**{**defaults, **changes})


class Counter:
    """A compute function that counts its calls and writes what it is told."""

    def __init__(self, content: str = "x") -> None:
        self.calls, self.content = 0, content

    def __call__(self, job: Job, out: Path) -> dict:
        self.calls += 1
        (out / "data.txt").write_text(self.content)
        return {"n": len(self.content)}


def test_the_second_run_restores_without_computing(tmp_path):
    compute = Counter()
    job(tmp_path).run(fill(compute))
    manifest = (tmp_path / "results/demo.json").read_bytes()
    (tmp_path / "results/demo.json").unlink()
    job(tmp_path).run(fill(compute))
    assert compute.calls == 1
    assert (tmp_path / "results/demo.json").read_bytes() == manifest
    record = read_json(tmp_path / "results/records/demo.json")
    assert record["status"] == "restored" and record["started"] and record["seconds"] >= 0


@pytest.mark.parametrize("change", [{"settings": {"k": 2}}, {"code": "d"}, {"env": "f"}])
def test_a_changed_ingredient_computes_again(tmp_path, change):
    compute = Counter()
    job(tmp_path).run(fill(compute))
    job(tmp_path, **change).run(fill(compute))
    assert compute.calls == 2


def test_equal_content_upstream_cuts_off_downstream(tmp_path):
    """The producer runs again under another key; its content is equal; the consumer hits."""
    job(tmp_path).run(fill(Counter()))
    consumer = {
        "rule": "consumer",
        "inputs": {"demo": tmp_path / "results/demo.json"},
        "outputs": {"": tmp_path / "results/consumer.json"},
    }
    compute = Counter()
    job(tmp_path, **consumer).run(fill(compute))
    job(tmp_path, code="another").run(fill(Counter()))
    job(tmp_path, **consumer).run(fill(compute))
    assert compute.calls == 1
    job(tmp_path, code="third").run(fill(Counter("different")))
    job(tmp_path, **consumer).run(fill(compute))
    assert compute.calls == 2


def test_a_forced_job_computes_although_the_store_has_it(tmp_path):
    compute = Counter()
    job(tmp_path).run(fill(compute))
    job(tmp_path, recompute=True).run(fill(compute))
    assert compute.calls == 2


def test_nondeterminism_is_reported(tmp_path, capsys):
    job(tmp_path).run(fill(Counter("x")))
    job(tmp_path, recompute=True).run(fill(Counter("y")))
    assert "equal key, different content" in capsys.readouterr().err
    record = read_json(tmp_path / "results/records/demo.json")
    assert record["nondeterminism"].startswith("equal key, different content")


def test_parts_are_computed_one_by_one_as_they_are_missing(tmp_path):
    asked = []

    def compute(job, folders):
        asked.append(sorted(folders))
        for part, out in folders.items():
            (out / "x").write_text(part)
        return {part: {} for part in folders}

    def run(*parts):
        outputs = {part: tmp_path / f"{part}.json" for part in parts}
        settings = {"dtype": "float16", "parts": {part: {"hook_point": part} for part in parts}}
        job(tmp_path, outputs=outputs, settings=settings).run(compute)

    run("a", "b")
    run("a", "b", "c")
    assert asked == [["a", "b"], ["c"]]
    assert (tmp_path / "a.json").exists() and (tmp_path / "c.json").exists()


def test_a_failed_gate_leaves_its_reason_and_no_manifest(tmp_path, capsys):
    def compute(job, out):
        raise GateError("hook-point parity: layers.2.mlp_out differs\n by 0.3")

    with pytest.raises(SystemExit) as caught:
        job(tmp_path).run(fill(compute))
    assert caught.value.code == 1
    reason = "hook-point parity: layers.2.mlp_out differs by 0.3"
    assert capsys.readouterr().err == f"demo: {reason}\n"
    record = read_json(tmp_path / "results/records/demo.json")
    assert (record["status"], record["reason"]) == ("failed", reason)
    assert not (tmp_path / "results/demo.json").exists()
    assert list((tmp_path / "store/staging").iterdir()) == []


def test_a_bug_keeps_its_traceback_and_its_reason(tmp_path):
    def compute(job, out):
        raise ZeroDivisionError("oops")

    with pytest.raises(ZeroDivisionError):
        job(tmp_path).run(fill(compute))
    record = read_json(tmp_path / "results/records/demo.json")
    assert record["reason"] == "ZeroDivisionError: oops"


def test_code_edited_during_the_run_is_refused(tmp_path):
    script = tmp_path / "demo.py"
    script.write_text("x = 1\n")
    with pytest.raises(SystemExit):
        job(tmp_path, script=script, code="what it was").run(fill(Counter()))
    assert "edited after" in read_json(tmp_path / "results/records/demo.json")["reason"]


def test_an_input_replaced_during_the_run_is_refused(tmp_path):
    """What was computed from the old input must not get the key of the new one."""
    job(tmp_path).run(fill(Counter("old")))

    def compute(consumer, out):
        content = (consumer.input("demo").folder() / "data.txt").read_text()
        job(tmp_path, settings={"k": 2}).run(fill(Counter("new")))  # of another configuration
        (out / "data.txt").write_text(f"from {content}")
        return {}

    consumer = {
        "rule": "consumer",
        "inputs": {"demo": tmp_path / "results/demo.json"},
        "outputs": {"": tmp_path / "results/consumer.json"},
        "record": tmp_path / "results/records/consumer.json",
    }
    with pytest.raises(SystemExit):
        job(tmp_path, **consumer).run(fill(compute))
    reason = read_json(tmp_path / "results/records/consumer.json")["reason"]
    assert reason.startswith(f"{tmp_path / 'results/demo.json'} was replaced while this job")
    assert not (tmp_path / "results/consumer.json").exists()
    assert len(list((tmp_path / "store/actions").glob("*/*"))) == 2

    calls = Counter("from new")
    job(tmp_path, **consumer).run(fill(calls))
    assert calls.calls == 1


def test_the_key_names_the_input_that_is_read(tmp_path):
    """A manifest replaced between the look-up and the first reading changes neither."""
    job(tmp_path).run(fill(Counter("old")))
    consumer = job(tmp_path, inputs={"demo": tmp_path / "results/demo.json"})
    before = consumer.made_by()
    job(tmp_path, settings={"k": 2}).run(fill(Counter("new")))
    assert consumer.made_by() == before
    assert (consumer.input("demo").folder() / "data.txt").read_text() == "old"


TOGETHER = """
import sys, time
from pathlib import Path
from latent_ledger.artifacts.job import Job, fill
from latent_ledger.artifacts.store import Store
root, name = Path(sys.argv[1]), sys.argv[2]
def compute(job, out):
    job.checkpoint().mkdir(parents=True)  # FileExistsError if another process is at work in it
    (root / "computing").touch()
    while not (root / "go on").exists():
        time.sleep(0.01)
    (out / "data.txt").write_text("x")
    return {}
results = root / name
Job(rule="demo", settings={"k": 1}, inputs={}, outputs={"": results / "demo.json"}, code="c",
    env="e", store=Store(root / "store"), record=results / "record.json").run(fill(compute))
"""


def start(root: Path, name: str) -> subprocess.Popen:
    """A process that computes the key of :func:`job`, until a file lets it go on."""
    command = [sys.executable, "-c", TOGETHER, root, name]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_until_it_computes(process: subprocess.Popen, root: Path) -> None:
    while not (root / "computing").exists():
        assert process.poll() is None
        time.sleep(0.01)


def test_the_second_process_waits_for_the_key_and_restores_it(tmp_path):
    first = start(tmp_path, "first")
    wait_until_it_computes(first, tmp_path)
    second = start(tmp_path, "second")
    line = second.stderr.readline()
    (tmp_path / "go on").touch()
    assert line == "demo: waiting for a process that computes it.\n"
    assert [process.wait(60) for process in (first, second)] == [0, 0]
    records = [read_json(tmp_path / name / "record.json") for name in ("first", "second")]
    assert [record["status"] for record in records] == ["done", "restored"]
    manifests = [(tmp_path / name / "demo.json").read_bytes() for name in ("first", "second")]
    assert manifests[0] == manifests[1]


def test_a_killed_process_gives_its_key_free(tmp_path):
    killed = start(tmp_path, "killed")
    wait_until_it_computes(killed, tmp_path)
    killed.kill()
    killed.wait()
    compute = Counter()
    job(tmp_path).run(fill(compute))
    assert compute.calls == 1


def test_a_disk_without_locks_is_one_line(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    job(tmp_path).run(fill(Counter()))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("(Function not implemented): run one workflow at a time on it.")
    assert (tmp_path / "results/demo.json").exists()


def test_a_hit_never_imports_torch(tmp_path):
    job(tmp_path).run(fill(Counter()))
    program = f"""
import sys
from pathlib import Path
from latent_ledger.artifacts.job import Job, fill
from latent_ledger.artifacts.store import Store
root = Path({str(tmp_path)!r})
def compute(job, out):
    raise AssertionError("computed")
Job(rule="demo", settings={{"k": 1}}, inputs={{}}, outputs={{"": root / "again.json"}}, code="c",
    env="e", store=Store(root / "store"), record=root / "again-record.json").run(fill(compute))
heavy = {{"torch", "numpy", "transformers", "pyarrow", "pandas"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (tmp_path / "again.json").exists()
