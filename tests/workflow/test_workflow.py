"""The promises of the README, each tried on a finished micro experiment."""

import re
import shutil

import pytest

from latent_ledger.artifacts.store import Manifest
from latent_ledger.ledger.row import RUN_COLUMNS
from latent_ledger.lib.files import read_json

pytestmark = pytest.mark.slow

RECON = [
    f"reconstruction/{name}-k8-s0"
    for name in ("sae-mlp", "sae-resid", "skip-transcoder", "transcoder")
]
AFTER_RECON = [
    "figures",
    *(
        f"gates/nulls/reconstruction/layers.1.{hook_point}"
        for hook_point in ("mlp_out", "resid_post")
    ),
    *RECON,
    "headtohead/reconstruction",
    "headtohead/splice",
    "ledger.md",
    "ledger",
]
EVALUATION = "src/latent_ledger/evaluations/reconstruction/evaluation.py"


def without_run_columns(rows: list[dict]) -> list[dict]:
    return [{k: v for k, v in row.items() if k not in RUN_COLUMNS} for row in rows]


def test_every_planned_row_is_there_with_a_verdict(finished):
    rows = finished.rows()
    row_types = {row["row_type"] for row in rows}
    chain = {"language_model", "parity", "train", "gate", "reconstruction", "probing", "headtohead"}
    assert row_types == chain | {"reference"}
    assert all(row["label"] in ("reproduced", "novel", "inconclusive") for row in rows)
    assert all(row["key_results"] and row["date"] and row["config_hash"] for row in rows)
    text = (finished.root / "results/ledger.md").read_text()
    header = next(line for line in text.splitlines() if line.startswith("| run_id |"))
    assert header.count("|") == 19, "18 columns"


def test_a_second_run_has_nothing_to_do(checkout):
    before = checkout.manifests()
    run = checkout.snakemake()
    assert "Nothing to be done" in run.output
    assert checkout.manifests() == before
    assert "Expected" not in checkout.snakemake("-n").output, "nothing to do has no bill"


def test_what_is_gone_or_foreign_comes_back_and_then_there_is_nothing_to_do(checkout):
    """Nothing stands that nothing stands behind, in one run."""
    results, before = checkout.root / "results", checkout.manifests()
    old = checkout.root / "old"
    shutil.copytree(results / "micro", old)
    numbers = checkout.numbers()

    def corpus_gone():
        for name in ("coder", "concepts"):
            (results / f"micro/corpus/{name}.json").unlink()

    def figures_gone():
        shutil.rmtree(results / "figures")

    def foreign_page():
        (results / "ledger.md").write_text("# The ledger of another\n")

    for damage in (corpus_gone, figures_gone, foreign_page):
        damage()
        checkout.snakemake()
        assert "Nothing to be done" in checkout.snakemake().output, damage.__name__
        assert checkout.manifests() == before and checkout.numbers() == numbers, damage.__name__

    # Manifests of an older configuration, under Snakemake's records of a newer one.
    checkout.edit("tests/workflow/micro.yaml", "{resamples: 200, splice", "{resamples: 300, splice")
    checkout.snakemake()
    shutil.rmtree(results / "micro")
    shutil.copytree(old, results / "micro")
    assert "own record is not of this manifest" in checkout.snakemake().output
    assert not [row for row in checkout.rows() if row["label"] in ("stale", "failed")]
    assert "Nothing to be done" in checkout.snakemake().output


def test_a_failed_ledger_job_is_not_forgotten(checkout):
    script = "workflow/scripts/ledger.py"
    text = (checkout.root / script).read_text()
    (checkout.root / "results/ledger.md").unlink()
    (checkout.root / script).write_text('raise RuntimeError("planted")\n' + text)
    for _ in range(2):
        checkout.snakemake(ok=False)
    (checkout.root / script).write_text(text)
    checkout.snakemake()
    assert "Nothing to be done" in checkout.snakemake().output


def add_a_function(checkout) -> None:
    """Edit the module that computes reconstruction."""
    text = (checkout.root / EVALUATION).read_text()
    signature = re.search(r"\ndef produce\([^)]*\)[^:]*:\n", text).group()
    checkout.edit(EVALUATION, signature, "\ndef added():\n    return 1\n\n" + signature)


def test_an_edited_function_is_listed_shown_as_stale_and_computed_again(checkout):
    """A dry run names it; the ledger alone shows no stale number; without Snakemake's memory the
    edit is still seen."""
    key = checkout.row("recon-sae-resid-k8-s0")["config_hash"]
    add_a_function(checkout)
    assert checkout.listed() == sorted(AFTER_RECON)
    output = checkout.snakemake("-n").output
    assert "Params have changed since last execution" in output and "'code:" in output
    assert "reconstruction (4 results): code: evaluations.reconstruction.evaluation:added" in output

    checkout.snakemake("-R", "ledger", "--allowed-rules", "ledger")
    row = checkout.row("recon-sae-resid-k8-s0")
    assert row["label"] == "stale" and not row["key_results"]
    assert "code" in row["notes"]

    shutil.rmtree(checkout.root / ".snakemake")
    run = checkout.snakemake()
    assert "its code changed, and Snakemake's own record of it is gone" in run.output
    row = checkout.row("recon-sae-resid-k8-s0")
    assert row["config_hash"] != key and row["label"] == "novel"
    old = [row for row in checkout.rows() if row["label"] == "superseded"]
    recon = [row for row in old if row["run_id"] == "recon-sae-resid-k8-s0"]
    assert [row["config_hash"] for row in recon] == [key]
    assert "code: evaluations.reconstruction.evaluation:added" in recon[0]["notes"]


def test_a_comment_or_a_docstring_costs_nothing(checkout):
    checkout.edit(EVALUATION, '"""', '"""Another first line. ')
    checkout.edit(EVALUATION, "\nimport", "\n# a comment\n\nimport")
    assert "Nothing to be done" in checkout.snakemake("-n").output


def test_a_forced_evaluation_recomputes_and_nothing_below_does(checkout):
    before, ledger = checkout.manifests(), checkout.rows()
    checkout.snakemake("-R", "reconstruction")
    assert checkout.manifests() == before, "equal content"
    records = checkout.records()
    assert {records[name]["status"] for name in RECON} == {"done"}
    assert all(records[name]["computed_torch"] for name in RECON)
    assert records["headtohead/reconstruction"]["status"] == "restored"
    assert without_run_columns(checkout.rows()) == without_run_columns(ledger)


def test_results_come_back_from_the_store_without_computing(checkout):
    before, ledger = checkout.manifests(), (checkout.root / "results/ledger.md").read_bytes()
    shutil.rmtree(checkout.root / "results")
    checkout.snakemake()
    assert {record["status"] for record in checkout.records().values()} == {"restored"}
    assert checkout.manifests() == before
    assert (checkout.root / "results/ledger.md").read_bytes() == ledger


def test_one_flipped_byte_is_found_named_and_recomputed(checkout):
    path = checkout.results / "codes/evaluation/sae-resid-k8-s0.json"
    manifest = Manifest.read(path)
    file = next(
        (checkout.root / ".store/payloads").glob(f"*/{manifest.digest}/codes-00000.safetensors")
    )
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    run = checkout.snakemake("-R", "reconstruction", ok=False)
    assert "corrupt payload: codes-00000.safetensors" in run.output
    row = checkout.row("recon-sae-resid-k8-s0")
    assert row["label"] == "failed" and "corrupt payload" in row["notes"]
    assert checkout.row("recon-sae-mlp-k8-s0")["label"] == "novel"
    checkout.snakemake()
    assert checkout.records()["codes/evaluation/sae-resid-k8-s0"]["status"] == "done"
    assert Manifest.read(path).digest == manifest.digest
    assert checkout.row("recon-sae-resid-k8-s0")["label"] == "novel"


def test_a_failed_job_becomes_a_row_and_the_rest_is_still_measured(checkout):
    text = (checkout.root / "workflow/scripts/probing.py").read_text()
    fault = 'if "sae-mlp" in str(job.record):\n        raise ValueError("planted fault")\n    '
    checkout.edit(
        "workflow/scripts/probing.py",
        "from latent_ledger.evaluations",
        fault + "from latent_ledger.evaluations",
    )
    run = checkout.snakemake(ok=False)
    assert "planted fault" in run.output
    failed = checkout.row("probe-sae-mlp-k8-s0")
    assert failed["label"] == "failed" and failed["notes"] == "ValueError: planted fault"
    assert failed["key_results"] == ""
    assert checkout.row("probe-sae-resid-k8-s0")["label"] in ("novel", "inconclusive")
    blocked = [row for row in checkout.rows() if row["run_id"].startswith("h2h-accuracy")]
    assert any(
        "not run, because results/micro/probing/sae-mlp-k8-s0.json failed" in row["notes"]
        for row in blocked
    )
    (checkout.root / "workflow/scripts/probing.py").write_text(text)
    checkout.snakemake()
    assert checkout.row("probe-sae-mlp-k8-s0")["label"] in ("novel", "inconclusive")


def test_one_more_k_trains_only_the_new_coders(checkout):
    micro = "tests/workflow/micro.yaml"
    checkout.edit(micro, "training: {width: 64, k: [8],", "training: {width: 64, k: [8, 4],")
    listed = checkout.listed()
    new = [name for name in listed if "-k4-" in name]
    assert len(new) == 4 * 6, "train, reader gate, codes twice, reconstruction, probing"
    families = {f"headtohead/{name}" for name in ("reconstruction", "splice", "probing")}
    rest = families | {"ledger.md", "ledger", "figures"}
    assert set(listed) - set(new) == rest


def test_a_new_layer_captures_only_the_new_hook_point(checkout):
    checkout.edit("tests/workflow/micro.yaml", "sae-resid: {layer: 1,", "sae-resid: {layer: 0,")
    checkout.snakemake(target="results/micro/activations/coder/layers.0.resid_post.json")
    store = checkout.root / ".store/actions"
    runs = [read_json(path) for path in store.glob("*/*.json")]
    captured = [run for run in runs if run["manifest"]["rule"] == "capture"]
    hook_points = [run["manifest"]["facts"]["hook_point"] for run in captured]
    assert hook_points.count("layers.1.mlp_in") == 3, "one per token set, none recomputed"
    assert hook_points.count("layers.0.resid_post") == 1


def test_an_unknown_key_is_refused_before_any_job(checkout):
    run = checkout.snakemake("--config", "trainign={}", ok=False)
    assert 'trainign: unknown key; did you mean "training"?' in run.output
    assert "Traceback" not in run.output


def times(folder) -> dict:
    """Modification time of every file below a folder."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_reading_the_workflow_deletes_and_touches_nothing(checkout):
    """Not with a mistyped store, which is refused in one line, nor with stale manifests."""
    before = times(checkout.root / "results")
    checkout.environment["LATENT_LEDGER_STORE"] = str(checkout.root / "no-such-store")
    for arguments in (("-n",), ("--lint",), ("--summary",)):
        run = checkout.snakemake(*arguments, ok=False)
        assert "rest on the store" in run.output and "no-such-store" in run.output
        assert "Traceback" not in run.output
    del checkout.environment["LATENT_LEDGER_STORE"]
    shutil.rmtree(checkout.root / ".snakemake")
    add_a_function(checkout)
    assert "reconstruction/sae-mlp-k8-s0" in checkout.listed()
    assert times(checkout.root / "results") == before


def test_a_ledger_without_its_manifests_is_made_again(checkout):
    """A copied ledger.md is not up to date because it is there."""
    shutil.rmtree(checkout.results)
    shutil.rmtree(checkout.root / ".snakemake")
    output = checkout.snakemake("-n").output
    assert "of its manifests are missing" in output and "Nothing to be done" not in output
    checkout.snakemake()
    assert {record["status"] for record in checkout.records().values()} == {"restored"}
    assert "Nothing to be done" in checkout.snakemake().output


def test_two_experiments_in_one_checkout_mix_nothing(checkout):
    """Another configuration, then back: nothing is computed again, and no row is the other's."""
    before, rows = checkout.manifests(), checkout.rows()
    second = type(checkout)(checkout.root, (*checkout.overlays, "other.yaml"), name="other")
    (checkout.root / "other.yaml").write_text(
        "experiment: other\ncoders: {transcoder: absent, skip-transcoder: absent}\n"
        "comparisons: {families: {reconstruction: absent, splice: absent, probing: absent}}\n"
    )
    second.snakemake()
    assert {record["status"] for record in second.records().values()} == {"restored"}
    assert "transcoder" not in (checkout.root / "results/ledger.md").read_text()
    assert checkout.manifests() == before
    run = checkout.snakemake()
    assert "it is the ledger of another experiment" in run.output
    assert checkout.manifests() == before and checkout.rows() == rows
    assert "Nothing to be done" in checkout.snakemake().output


def test_two_workflows_share_one_store(checkout, tmp_path):
    """A second checkout that names the same store computes nothing."""
    other = tmp_path / "other"
    ignore = shutil.ignore_patterns("results", ".store", ".snakemake")
    shutil.copytree(checkout.root, other, ignore=ignore)
    (other / ".store").symlink_to(checkout.root / ".store")
    second = type(checkout)(other, checkout.overlays)
    second.snakemake()
    assert {record["status"] for record in second.records().values()} == {"restored"}
    assert second.manifests() == checkout.manifests()
