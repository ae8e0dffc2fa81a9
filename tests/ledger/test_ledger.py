"""The ledger: verdicts, history and staleness on a planted experiment of three manifests."""

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from latent_ledger import experiment
from latent_ledger.artifacts.provenance import action_key, ingredients
from latent_ledger.artifacts.store import Store
from latent_ledger.cli import main
from latent_ledger.ledger import ledger, references, report
from latent_ledger.ledger.row import COLUMNS, Row
from latent_ledger.ledger.verdicts import holds, verdict
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import canonical, read_json, write_json
from latent_ledger.planning import graph, paths
from tests.project import PROJECT

CODER = "sae-resid-k8-s0"
RUN = {
    "status": "done",
    "started": "2026-01-02T03:04:05+00:00",
    "seconds": 2.0,
    "git_commit": "abc1234",
    "device": "CPU",
    "threads": 1,
    "cost_usd": 0.0,
}
RECONSTRUCTION = f"reconstruction/{CODER}.json"


def metric(name, estimate, ci, **more):
    return {"name": name, "estimate": estimate, "ci": ci, "unit": "document", "n": 9, **more}


METRICS = [
    metric("variance_explained", 0.7, [0.6, 0.8]),
    metric("variance_explained_with_bos", 0.9, [0.8, 0.95]),
    metric("loss_recovered", 0.5, [0.4, 0.6]),
    metric("kl", 0.2, [0.1, 0.3]),
    metric("cosine", 0.9, [0.8, 0.95]),
    metric("l0", 8.0, [8.0, 8.0]),
    metric("dead_share", 0.1, None),
    metric("dense_share", 0.0, None),
]


PARITY = {"against": "TransformerLens", "bound": 1e-4, "relative_error": 0.0, "rows": 5}
PLANTED = {
    "language_model": (
        None,
        {
            "held_out_nats_per_token": 5.0,
            "held_out_bits_per_byte": 2.0,
            "held_out_tokens": 7,
            "parameters": 3,
            "training_tokens": 11,
        },
    ),
    "capture": (None, {"n_rows": 5, "parity": PARITY}),
    "train_coder": (None, {"tokens": 5, "steps": 2, "fvu": 0.3, "dead_share": 0.0}),
    "reader_fidelity": (
        [
            metric("jaccard", 1.0, None),
            metric("value_error_real", 0.0, None),
            metric("output_error_real", 0.0, None),
        ],
        {"against": "sparsify.SparseCoder", "rows": {"real": 9}, "tied_rows": 0},
    ),
    "reconstruction_nulls": (
        [
            metric("variance_explained_of_mean", 0.0, None),
            metric("variance_explained_of_target", 1.0, None),
            metric("largest_deviation", 0.0, None),
        ],
        {"tolerance": 1e-6},
    ),
    "reconstruction": (METRICS, None),
}
"""Rule -> metrics and facts of its manifests, as far as rows read them."""


class Planted:
    """Manifests made by hand, as the jobs would have made them, and the project behind them."""

    def __init__(self, root: Path) -> None:
        self.root, self.store = root, Store(root / "store")
        overlay = PROJECT / "tests/workflow/micro.yaml"
        self.config = experiment.load(PROJECT / "config/tiny.yaml", [overlay])
        self.code = {}

    def code_digest(self, rule: str) -> str:
        return self.code.get(rule, f"code of {rule}")

    def environment(self, _settings) -> str:
        return "env"

    def at(self, name: str) -> Path:
        """Where a manifest of the experiment lies."""
        return self.root / paths.placed(name, self.config["experiment"])

    def make(self, path: str, metrics=None, facts=None) -> None:
        job = graph.jobs(self.config)[path]
        rule, settings = job.rule, job.settings
        digests = {
            name: read_json(self.at(source))["digest"]
            for name, source in job.named_inputs().items()
        }
        code = self.code_digest(rule)
        self.store.record_code(code, {f"{rule}:f": code, f"{rule}:g": "same"})
        made_by = canonical(ingredients(rule, settings, code, "env", digests))
        staged = self.store.stage()
        (staged / "who.txt").write_text(f"{path} {digests} {metrics} {facts}")
        if metrics:
            write_json(staged / "metrics.json", {"metrics": metrics, "facts": {}})
        key = action_key(made_by)
        manifest = self.store.commit(staged, facts=facts or {"tokens": 5}, key=key, made_by=made_by)
        self.store.record(key, manifest, RUN)
        manifest.write(self.at(path))
        write_json(self.at(f"records/{path}"), RUN)

    def make_all(self, **changed) -> None:
        """One reconstruction and everything above it; `changed`: rule -> metrics and facts."""
        jobs = graph.jobs(self.config)
        for name in graph.upstream(jobs, RECONSTRUCTION):
            self.make(name, *(PLANTED | changed).get(jobs[name].rule, (None, None)))

    def write(self) -> list[Row]:
        return ledger.Ledger(self.config, self.store, self, self.root).write()

    def row(self, run_id: str = f"recon-{CODER}") -> Row:
        return next(row for row in self.write() if row.run_id == run_id)


@pytest.fixture
def planted(tmp_path) -> Planted:
    made = Planted(tmp_path)
    made.make_all()
    return made


def test_a_number_with_its_record_becomes_a_row_of_18_columns(planted):
    row = planted.row()
    assert tuple(row.values) == COLUMNS and len(COLUMNS) == 18
    assert row.label == "novel"
    assert "variance explained 0.700 [0.600, 0.800] (n=9 documents" in row.values["key_results"]
    assert row.values["sparsity"] == "k=8, L0=8.0"
    assert (row.values["date"], row.values["wall_clock"]) == ("2026-01-02", "2.0 s")
    assert row.values["config_hash"] == row.key[:12]


def test_a_row_with_a_number_carries_the_ledgers_alpha(planted):
    planted.config["ledger"]["alpha"] = 0.01
    assert planted.row().alpha == 0.01


def test_a_missing_manifest_is_a_failed_row_with_the_reason_of_the_first_failure(planted):
    path = "coders/sae-mlp-k8-s0.json"
    record = {**RUN, "status": "failed", "reason": "hook-point parity: layers.1.mlp_out differs"}
    write_json(planted.at(f"records/{path}"), record)
    failed = planted.row("train-sae-mlp-k8-s0")
    assert (failed.label, failed.values["key_results"]) == ("failed", "")
    blocked = planted.row("recon-sae-mlp-k8-s0")
    assert blocked.values["notes"].startswith(
        f"not run, because results/micro/{path} failed: hook-point parity"
    )


@pytest.mark.parametrize("rule", ["reconstruction", "train_coder", "language_model"])
def test_a_number_whose_own_or_upstream_code_changed_is_not_shown(planted, rule):
    planted.code[rule] = "edited"
    row = planted.row()
    assert (row.label, row.values["key_results"]) == ("stale", "")
    assert "the code of" in row.values["notes"]


def test_a_number_made_from_another_input_is_not_shown(planted):
    planted.make(
        f"coders/{CODER}.json", facts={"tokens": 6, "steps": 2, "fvu": 0.2, "dead_share": 0.0}
    )
    row = planted.row()
    assert row.label == "stale" and "another version of its input 'coder'" in row.values["notes"]


def test_a_number_made_from_another_planned_manifest_is_not_shown(planted):
    """Its input has the digest of a manifest of this experiment, and is not that job's input."""
    path = planted.at(RECONSTRUCTION)
    content = read_json(path)
    content["made_by"]["inputs"]["coder"] = read_json(planted.at("model.json"))["digest"]
    write_json(path, content)
    row = planted.row()
    assert row.label == "stale" and "another version of its input 'coder'" in row.values["notes"]
    content["made_by"]["inputs"] = {"former": "x"}
    write_json(path, content)
    assert planted.row().label == "stale" and not planted.row().values["key_results"]


def test_a_rerun_supersedes_and_says_which_function_changed(planted):
    first = planted.row()
    planted.code["reconstruction"] = "edited"
    planted.make(RECONSTRUCTION, metrics=METRICS)
    rows = [row for row in planted.write() if row.run_id == first.run_id]
    assert [row.label for row in rows] == ["novel", "superseded"]
    assert rows[1].key == first.key != rows[0].key
    assert "reconstruction: code: reconstruction:f" in rows[1].values["notes"]
    assert "reconstruction:g" not in rows[1].values["notes"]
    assert [row.label for row in planted.write() if row.run_id == first.run_id] == [
        "novel",
        "superseded",
    ], "rendering twice adds nothing"


def test_an_upstream_change_is_named_where_it_happened(planted):
    planted.write()
    planted.code["train_coder"] = "edited"
    facts = {"tokens": 5, "steps": 2, "fvu": 0.1, "dead_share": 0.0}
    planted.make_all(train_coder=(None, facts))
    old = [r for r in planted.write() if r.run_id == f"recon-{CODER}" and r.label == "superseded"]
    assert "train_coder: code: train_coder:f" in old[0].values["notes"]


def test_a_failure_between_two_equal_numbers_is_remembered(planted):
    planted.write()
    path = planted.at(RECONSTRUCTION)
    manifest = path.read_bytes()
    record = planted.at(f"records/reconstruction/{CODER}.json")
    path.unlink()
    write_json(record, {**RUN, "status": "failed", "reason": "encode fidelity: Jaccard 0.07"})
    assert planted.row().values["notes"] == "encode fidelity: Jaccard 0.07"
    path.write_bytes(manifest)
    write_json(record, RUN)
    rows = [row for row in planted.write() if row.run_id == f"recon-{CODER}"]
    assert [row.label for row in rows] == ["novel", "superseded"]
    assert "encode fidelity: Jaccard 0.07" in rows[1].values["notes"]
    assert rows[1].values["key_results"] == ""


def test_history_survives_the_loss_of_results(planted):
    planted.write()
    planted.code["reconstruction"] = "edited"
    shutil.rmtree(planted.root / "results")
    planted.make_all()
    labels = [row.label for row in planted.write() if row.run_id == f"recon-{CODER}"]
    assert labels == ["novel", "superseded"]


def entry(*measurements, **more):
    """A completed entry of `references`: (row, reported variance explained, tolerance)..."""
    keys = ("row", "value", "tolerance")
    measured = [
        dict(zip(keys, measurement, strict=True), metric="variance_explained")
        for measurement in measurements
    ]
    blank = {"said": "", "date": "", "label": "", "note": "", "history": []}
    return {**blank, "measurements": measured, **more}


def test_a_reference_decides_the_verdict(planted):
    name = f"recon-{CODER}"
    for value, label in ((0.71, "reproduced"), (0.8, "not reproduced")):
        planted.config["references"] = {name: entry((None, value, 0.02))}
        assert planted.row().label == label


def test_a_reference_of_another_id_is_a_row_that_needs_all_its_values_to_hold(planted):
    name = f"recon-{CODER}"
    quote = {"said": "VE=0.71", "date": "2026-06-21", "label": "inconclusive"}
    for second, label in ((0.72, "reproduced"), (0.9, "not reproduced")):
        both = entry((name, 0.71, 0.02), (name, second, 0.03), **quote)
        planted.config["references"] = {"repro-001": both}
        row = planted.row("repro-001")
        assert (row.label, row.row_type) == (label, "reference")
        assert row.values["run_id"] == "repro-001"
        assert tuple(row.values) == COLUMNS
        assert "Reference of 2026-06-21: VE=0.71 (inconclusive)." in row.values["notes"]
        assert (
            "0.700 [0.600, 0.800] (n=9 documents), reported 0.71 ± 0.02: holds"
            in (row.values["key_results"])
        )
        assert planted.row().label == "novel", "the measured row keeps its own verdict"
    text = (planted.root / "results/ledger.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("| `repro-001` | inconc"))
    assert line.endswith("| 0.71 ± 0.02 | 0.700 [0.600, 0.800] | 9 documents | yes |")


def test_a_reference_without_a_value_is_a_counterpart(planted):
    planted.config["references"] = {"repro-001": entry((f"recon-{CODER}", None, None))}
    assert planted.row("repro-001").label == "novel"


def test_a_reference_whose_row_has_no_number_has_its_reason(planted):
    path = "coders/sae-mlp-k8-s0.json"
    record = {**RUN, "status": "failed", "reason": "hook-point parity: layers.1.mlp_out differs"}
    write_json(planted.at(f"records/{path}"), record)
    both = entry((f"recon-{CODER}", 0.7, 0.1), ("recon-sae-mlp-k8-s0", 0.7, 0.1))
    planted.config["references"] = {"repro-001": both}
    row = planted.row("repro-001")
    assert (row.label, row.values["key_results"]) == ("failed", "")
    assert "recon-sae-mlp-k8-s0: not run, because" in row.values["notes"]
    planted.code["reconstruction"] = "edited"
    planted.config["references"] = {"repro-001": entry((f"recon-{CODER}", 0.7, 0.1))}
    assert planted.row("repro-001").label == "stale"


def test_reference_to_an_unmeasured_metric_is_failed_and_breaks_nothing(planted):
    wrong = entry((f"recon-{CODER}", 0.7, 0.1))
    wrong["measurements"][0]["metric"] = "variance_explaned"
    planted.config["references"] = {"repro-001": wrong}
    row = planted.row("repro-001")
    assert row.label == "failed" and "nearest is 'variance_explained'" in row.values["notes"]


def test_a_value_for_a_row_without_a_main_metric_is_failed_and_never_novel(planted):
    for value, label in ((999, "failed"), (None, "novel")):
        measured = entry(("model", value, None if value is None else 0.1))
        measured["measurements"][0]["metric"] = None
        planted.config["references"] = {"repro-001": measured}
        row = planted.row("repro-001")
        assert row.label == label
        reason = "not run: model: model has no main metric: name one in `metric`."
        assert row.values["notes"].startswith(reason) == (value is not None)


def test_versions_that_their_author_withdrew_are_superseded_rows_of_the_same_id(planted):
    old = {"date": "2026-06-20", "said": "VE=0.2", "reason": "b_dec was not subtracted"}
    planted.config["references"] = {"repro-001": entry((f"recon-{CODER}", 0.7, 0.1), history=[old])}
    for _ in range(2):
        rows = [row for row in planted.write() if row.run_id == "repro-001"]
        assert [row.label for row in rows] == ["reproduced", "superseded"]
    assert rows[1].values["key_results"] == "reference: VE=0.2"
    assert rows[1].values["notes"].endswith("b_dec was not subtracted")


def test_a_contrast_that_could_not_be_made_gives_its_reference_the_reason():
    contrast = {"name": "gap", "estimate": None, "ci": None}
    values = {"key_results": "gap has no number: nothing is alike"}
    row = SimpleNamespace(
        run_id="h2h", label="inconclusive", main=contrast, metrics=[contrast], values=values
    )
    measurement = {"row": "h2h", "metric": "gap", "value": 0.5, "tolerance": 0.1}
    measured = references.measure("ref", measurement, {"h2h": row})
    assert measured["holds"] is None and measured["reason"] == values["key_results"]
    assert references.verdict([measured], [row])[0] == "failed"


def test_a_new_measurement_supersedes_the_old_judgement_of_a_reference(planted):
    planted.config["references"] = {"repro-001": entry((f"recon-{CODER}", 0.7, 0.1))}
    planted.write()
    planted.code["reconstruction"] = "edited"
    moved = [metric("variance_explained", 0.4, [0.3, 0.5]), *METRICS[1:]]
    planted.make(RECONSTRUCTION, metrics=moved)
    rows = [row for row in planted.write() if row.run_id == "repro-001"]
    assert [row.label for row in rows] == ["not reproduced", "superseded"]
    assert "reconstruction: code: reconstruction:f" in rows[1].values["notes"]


@pytest.mark.parametrize(
    ("ci", "p_holm", "expected"),
    [
        ([0.1, 0.2], None, "novel"),
        ([-0.1, 0.2], None, "inconclusive"),
        ([0.0, 0.2], None, "inconclusive"),
        ([-0.2, -0.1], 0.01, "novel"),
        ([0.1, 0.2], 0.06, "inconclusive"),
        (None, None, "inconclusive"),
    ],
)
def test_verdicts_against_a_null(ci, p_holm, expected):
    measured = {"estimate": 0.1, "ci": ci, "p_holm": p_holm}
    assert verdict(measured, null=0.0, alpha=0.05) == expected


def test_a_reference_holds_within_its_tolerance_inclusive():
    assert holds({"value": 0.8, "tolerance": 0.1}, 0.9) is (abs(0.9 - 0.8) <= 0.1)
    quarter = {"value": 0.5, "tolerance": 0.25}
    assert holds(quarter, 0.75) and not holds(quarter, 0.76)


def test_equal_rows_give_equal_text_and_cells_cannot_break_the_table(planted):
    rows = planted.write()
    assert report.markdown(planted.config, rows) == report.markdown(planted.config, rows)
    rows[0] = dataclasses.replace(rows[0], values={**rows[0].values, "notes": "a|b\nc"})
    text = report.markdown(planted.config, rows)
    assert "a\\|b c |" in text


@pytest.fixture
def complete(planted):
    """The ledger of a configuration whose manifests are all there, and how it is judged."""
    planted.write()
    jobs = graph.jobs(planted.config)
    for name in jobs:
        planted.at(name).parent.mkdir(parents=True, exist_ok=True)
        planted.at(name).touch()
    return lambda: ledger.why_outdated(planted.config, jobs, planted.root)


def test_ledger_of_this_configuration_is_not_outdated(complete):
    assert complete() is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"experiment": "other"}, "it is the ledger of another experiment"),
        ({"plan": "another fingerprint"}, "it was made from another configuration"),
        ({"plan": None}, "it was rendered after a run that failed"),
    ],
)
def test_ledger_of_another_configuration_is_outdated(complete, planted, change, reason):
    file = planted.root / "results/ledger.json"
    write_json(file, read_json(file) | change)
    assert complete() == reason


def test_ledger_that_was_written_by_hand_or_lost_its_figures_is_outdated(complete, planted):
    page = planted.root / "results/ledger.md"
    written = page.read_text()
    page.write_text("# A better ledger\n")
    assert complete() == "results/ledger.md is not the file that was written with ledger.json"
    page.write_text(written)
    shutil.rmtree(planted.root / "results/figures")
    assert complete() == "results/figures/ is not there"


def test_ledger_without_a_manifest_is_outdated(complete, planted):
    planted.at(paths.model()).unlink()
    assert complete() == "1 of its manifests are missing (model.json)"


def test_ledger_without_a_readable_ledger_json_is_outdated_and_none_is_not(complete, planted):
    (planted.root / "results/ledger.json").write_text("no JSON")
    assert complete() == "it has no readable ledger.json beside it"
    for name in ("ledger.json", "ledger.md"):
        (planted.root / "results" / name).unlink()
    assert complete() is None, "there is none to judge"


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


@pytest.mark.parametrize("broken", ["[]", "{}", '{"digest": null}'])
def test_a_manifest_of_the_wrong_shape_is_named_in_one_line(planted, broken):
    path = planted.at(RECONSTRUCTION)
    content = read_json(path)
    path.write_text(broken)
    with pytest.raises(LedgerError, match="is no manifest"):
        planted.store.open(path)
    for change in ({"made_by": {}}, {"digest": None}):
        write_json(path, content | change)
        with pytest.raises(LedgerError, match="is no complete manifest"):
            planted.store.open(path)
