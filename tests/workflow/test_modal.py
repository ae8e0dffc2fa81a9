"""The experiment on Modal, as far as no account is needed: the profile against a local server.

What runs is the user's command with the micro configuration: the real client, Sandboxes as
subprocesses, Volumes as folders. The numbers must be those of the local run.
"""

from __future__ import annotations

import shutil
import sys

import pytest

from .conftest import MICRO, PROJECT, SANDBOX, Checkout, copy_project

sys.path.insert(0, str(PROJECT / "plugins/snakemake-executor-plugin-modal/tests"))

from local_modal import LocalModal  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("modal")
    with LocalModal(root, image_environment=SANDBOX) as server:
        server.secret("huggingface", HF_TOKEN="hf_never_to_be_seen")
        server.volume("latent-ledger")
        server.volume("huggingface-cache")
        yield server


EACH = "tests/workflow/each.yaml"
"""Few coders, every evaluation: here every job pays for a process that starts Snakemake."""


def test_every_rule_on_modal(server, whole, tmp_path):
    root = copy_project(tmp_path / "cloud")
    cloud = Checkout(root, (MICRO, EACH), "profiles/modal", server.environment)
    jobs = ("--jobs", "4", "--modal-poll-seconds", "0.2")

    # From nothing: equal numbers; payloads stay on the Volume; every row knows what it cost.
    cloud.snakemake(*jobs)
    here, there = whole.numbers(), cloud.numbers()
    assert {row["row_type"] for row in there.values()} == {row["row_type"] for row in here.values()}
    of_all = [name for name, row in there.items() if row["row_type"] == "pareto"]  # of fewer, here
    assert {k: v for k, v in there.items() if k not in of_all} == {
        name: here[name] for name in there if name not in of_all
    }
    manifests = cloud.manifests()
    del manifests["overview.json"]
    assert manifests == {path: whole.manifests()[path] for path in manifests}
    payloads = [path for path in (root / "results").rglob("*") if path.suffix == ".parquet"]
    assert not payloads and not (root / ".store").exists()
    assert all(row["cost"] for row in cloud.rows() if row["label"] == "novel" and row["date"])
    assert "hf_never_to_be_seen" not in "".join(
        path.read_text(errors="replace")
        for path in root.rglob("*")
        if path.is_file() and {"results", ".snakemake"} & set(path.parts)
    )

    # One corrected evaluation: its dependents run, all else stays.
    before = len(server.sandboxes)
    path = "src/latent_ledger/evaluations/reconstruction/evaluation.py"
    text = (root / path).read_text()
    cloud.edit(
        path,
        text[text.index("def produce(") :][:12],
        "def added():\n    return 1\n\n\ndef produce(",
    )
    stale = cloud.listed()
    assert "reconstruction/sae-resid-k8-s0" in stale and not any(
        "coders/" in name for name in stale
    )
    cloud.snakemake(*jobs)
    assert 0 < len(server.sandboxes) - before <= len(stale)
    row = next(row for row in cloud.rows() if row["label"] == "superseded")
    assert "code: evaluations.reconstruction.evaluation:added" in row["notes"]

    # Results are lost: every job comes back by its key, and only the ledger needs a container.
    shutil.rmtree(root / "results")
    before = len(server.sandboxes)
    cloud.snakemake(*jobs)
    assert len(server.sandboxes) - before == 1
    statuses = {record["status"] for record in cloud.records().values()}
    assert statuses == {"restored"}
