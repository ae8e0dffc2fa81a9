"""Contrasts over small synthetic evaluation folders with planted and null differences."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from latent_ledger.evaluations.headtohead import rows
from latent_ledger.evaluations.headtohead.evaluation import produce
from latent_ledger.ledger.verdicts import verdict
from latent_ledger.lib.errors import GateError, LedgerError
from latent_ledger.lib.files import read_json, write_json
from latent_ledger.planning.stage import RowPlan
from latent_ledger.statistics import resampling
from latent_ledger.statistics.reading import metric_record, values_of

DOCUMENTS = 120
RECIPE = {"corpus": "embedded", "token_budget": 400_000, "scorer": None}


def record(
    name: str, statistic: str | None, values: resampling.Values, columns: dict, **other
) -> dict:
    return {
        "name": name,
        "estimate": values.estimate(),
        "ci": None,
        "unit": "document",
        "n": len(values),
        "seed": 0,
        "resamples": 100,
        "version": 1,
        "higher_is_better": True,
        "statistic": statistic,
        "table": "documents.parquet",
        "columns": columns,
        "where": {},
        "description": "Synthetic.",
    } | other


def write_evaluation(folder: Path, effect: float, seed: int, documents: int = DOCUMENTS) -> Path:
    """An evaluation whose three metrics are better by `effect`; documents are shared by seed 0."""
    folder.mkdir(parents=True)
    shared, noise = np.random.default_rng(0), np.random.default_rng(seed)
    ids = np.arange(documents)
    variance = shared.uniform(10, 90, documents)
    level = shared.uniform(0.4, 0.6, documents)
    label = shared.integers(0, 2, documents)
    share = level + effect + noise.normal(scale=0.02, size=documents)
    score = noise.normal(size=documents) + (1 + 50 * effect) * label
    table = {
        "doc_id": ids,
        "explained": variance * share,
        "variance": variance,
        "share": share,
        "score": score,
        "label": label.astype(bool),
        "split": np.where(ids % 4 == 0, "train", "test"),
    }
    pq.write_table(pa.table(table), folder / "documents.parquet")
    test = ids % 4 != 0
    ratio = {"unit_id": "doc_id", "numerator": "explained", "denominator": "variance"}
    mean, auroc = {"unit_id": "doc_id", "value": "share"}, {"unit_id": "doc_id"}
    of = resampling.Values
    metrics = [
        record("variance_explained", "ratio", of(ids, "ratio", variance * share, variance), ratio),
        record(
            "share_test", "mean", of(ids[test], "mean", share[test]), mean, where={"split": "test"}
        ),
        record("share_latent", "mean", of(ids, "mean", share), mean, unit="latent"),
        record(
            "auroc",
            "auroc",
            of(ids, "auroc", score, label),
            auroc | {"score": "score", "label": "label"},
        ),
        record("dead_share", None, of(ids, "mean", share), {}, table=None),
    ]
    write_json(folder / "metrics.json", {"metrics": metrics, "facts": {}})
    return folder


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Path]:
    """`good` is better than `plain` by 0.02 of the variance; `twin` is not; `short` saw less."""
    made = {"good": (0.02, 1), "plain": (0.0, 2), "twin": (0.0, 3), "short": (0.0, 4, 100)}
    return {
        f"recon/{name}": write_evaluation(tmp_path / "evaluations" / name, *arguments)
        for name, arguments in made.items()
    }


def settings_for(*pairs: tuple[str, str], metrics=("recon.variance_explained",), **other) -> dict:
    names = {name for pair in pairs for name in pair}
    return {
        "metrics": list(metrics),
        "pairs": [list(pair) for pair in pairs],
        "resamples": 2000,
        "level": 0.95,
        "seed": 0,
        "recipes": {name: dict(RECIPE) for name in names},
        "allow_unfair": [],
    } | other


def contrasts_of(settings: dict, tables: dict, out: Path) -> list[dict]:
    out.mkdir(parents=True, exist_ok=True)
    produce(settings, tables, out)
    return read_json(out / "metrics.json")["metrics"]


def edit_record(folder: Path, name: str, /, **changes) -> None:
    content = read_json(folder / "metrics.json")
    for entry in content["metrics"]:
        if entry["name"] == name:
            entry.update(changes)
    write_json(folder / "metrics.json", content)


# -- what is found ---------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["variance_explained", "share_test", "auroc"])
def test_planted_difference_is_detected_and_the_null_is_inconclusive(tables, tmp_path, metric):
    planted, null = contrasts_of(
        settings_for(("good", "plain"), ("plain", "twin"), metrics=[f"recon.{metric}"]),
        tables,
        tmp_path / "out",
    )
    assert planted["name"] == f"recon.{metric}: good - plain"
    assert planted["estimate"] > 0 and planted["ci"][0] > 0 and planted["bca"][0] > 0
    assert planted["ci_excludes_zero"] and planted["p_holm"] < 0.05
    assert null["ci"][0] < 0 < null["ci"][1]
    assert not null["ci_excludes_zero"] and null["p"] > 0.05
    difference = planted["estimate_a"] - planted["estimate_b"]
    assert planted["estimate"] == pytest.approx(difference)
    if metric == "auroc":
        assert planted["p_welch"] is None and "AUROC" in planted["tests_note"]
    else:
        assert planted["estimate"] == pytest.approx(0.02, abs=0.01)
        assert 0 < planted["p_welch"] < 1 and 0 < planted["p_mannwhitney"] < 1


def test_equal_documents_are_paired_and_unequal_ones_are_not(tables, tmp_path):
    paired, unpaired = contrasts_of(
        settings_for(("good", "plain"), ("good", "short")), tables, tmp_path / "out"
    )
    assert paired["paired"] and paired["n"] == paired["n_a"] == DOCUMENTS
    assert "paired bootstrap over 120 documents" in paired["description"]
    assert not unpaired["paired"] and (unpaired["n_a"], unpaired["n_b"]) == (120, 100)
    assert "unpaired bootstrap over 120 and 100 documents" in unpaired["description"]
    widths = [entry["ci"][1] - entry["ci"][0] for entry in (paired, unpaired)]
    assert widths[0] < 0.5 * widths[1]


def test_latents_of_two_coders_are_unpaired(tables, tmp_path):
    [contrast] = contrasts_of(
        settings_for(("good", "plain"), metrics=["recon.share_latent"]), tables, tmp_path / "out"
    )
    assert not contrast["paired"] and contrast["n"] == 2 * DOCUMENTS


def test_latents_are_matched_on_a_column_of_their_table(tables, tmp_path):
    """`variance` is the same for both coders here, so every latent finds its like."""
    settings = settings_for(("good", "plain"), metrics=["recon.share_latent"], match="variance")
    [contrast] = contrasts_of(settings, tables, tmp_path / "out")
    assert contrast["paired"] and contrast["matched_on"] == "variance"
    assert (contrast["n"], contrast["unit"]) == (DOCUMENTS, "latent pair")
    assert contrast["estimate"] == pytest.approx(0.02, abs=0.01) and contrast["ci_excludes_zero"]
    assert "alike in variance within 1.00 (median)" in contrast["description"]


def test_contrast_without_matching_latents_is_recorded_as_not_made(tables, tmp_path):
    """The twin's latents fire a thousand times as often: nothing pairs, and the family stands."""
    path = tables["recon/twin"] / "documents.parquet"
    table = pq.read_table(path).to_pydict()
    table["variance"] = [1000 * value for value in table["variance"]]
    pq.write_table(pa.table(table), path)
    pairs = [("good", "plain"), ("good", "twin")]
    settings = settings_for(*pairs, metrics=["recon.share_latent"], match="variance")
    made, lost = contrasts_of(settings, tables, tmp_path / "out")
    facts = read_json(tmp_path / "out" / "metrics.json")["facts"]
    assert (facts["contrasts"], facts["not_made"]) == (2, 1)
    assert made["not_made"] is None and made["ci_excludes_zero"]
    assert made["p_holm"] == pytest.approx(2 * made["p"]), "Holm counts what was declared"
    assert (lost["estimate"], lost["ci"], lost["n"], lost["p_holm"]) == (None, None, 0, 1.0)
    assert lost["not_made"] == (
        "of 120 and 120 units only 0 could be matched within a factor of 1.25"
    )
    label = verdict(lost, null=0.0, alpha=0.05)
    assert label == "inconclusive", "absence of a like is no failure, and no effect either"
    row = RowPlan("h2h", "headtohead", "", {}, metric=lost["name"])
    payload = SimpleNamespace(folder=lambda: tmp_path / "out")
    finding = rows.read(row, payload)
    assert finding.key_results.endswith("good - twin has no number: " + lost["not_made"])
    columns = {"coder_type": "head-to-head (controls)"}
    shown = SimpleNamespace(
        row_type="headtohead", metrics=finding.metrics, label=label, values=columns
    )
    assert rows.section([shown]).splitlines()[-1] == (
        f"| controls | share latent | good - twin |  |  | none: {lost['not_made']} | inconclusive |"
    )


def test_shared_units_and_unknown_properties_cannot_be_matched(tables, tmp_path):
    settings = settings_for(("good", "plain"), metrics=["recon.share_test"], match="variance")
    with pytest.raises(LedgerError, match="over documents, which need no match"):
        contrasts_of(settings, tables, tmp_path / "out")
    settings = settings_for(("good", "plain"), metrics=["recon.share_latent"], match="variant")
    with pytest.raises(LedgerError, match="no column 'variant'; did you mean 'variance'"):
        contrasts_of(settings, tables, tmp_path / "out")


def test_values_with_where_are_of_matching_rows_only(tables):
    values = values_of(tables["recon/good"], "share_test")
    assert len(values) == 90 and not (values.unit_ids % 4 == 0).any()


# -- the family ------------------------------------------------------------------------------------


def test_holm_covers_all_metrics_and_pairs_of_the_family(tables, tmp_path):
    metrics = ["recon.variance_explained", "recon.auroc"]
    pairs = [("good", "plain"), ("plain", "twin"), ("good", "short")]
    contrasts = contrasts_of(settings_for(*pairs, metrics=metrics), tables, tmp_path / "out")
    assert [(entry["metric"], entry["a"], entry["b"]) for entry in contrasts] == [
        (metric, *pair) for metric in metrics for pair in pairs
    ]
    p = sorted(entry["p"] for entry in contrasts)
    smallest = min(contrasts, key=lambda entry: entry["p"])
    assert smallest["p_holm"] == pytest.approx(6 * p[0])
    expected = resampling.holm([entry["p"] for entry in contrasts])
    assert [entry["p_holm"] for entry in contrasts] == pytest.approx(expected.tolist())
    facts = read_json(tmp_path / "out" / "metrics.json")["facts"]
    assert facts["contrasts"] == 6 and facts["paired"] == 4 and facts["unfair"] == 0
    assert facts["smallest_p_holm"] == pytest.approx(12 / 2001)


def test_contrast_table_equals_the_records(tables, tmp_path):
    settings = settings_for(("good", "plain"), ("good", "short"))
    contrasts = contrasts_of(settings, tables, tmp_path / "out")
    rows = pq.read_table(tmp_path / "out" / "contrasts.parquet").to_pylist()
    assert len(rows) == 2
    for row, contrast in zip(rows, contrasts, strict=True):
        assert [row["low"], row["high"]] == contrast["ci"]
        assert [row["bca_low"], row["bca_high"]] == contrast["bca"]
        assert {key: row[key] for key in row if key in contrast} == {
            key: contrast[key] for key in row if key in contrast
        }


def test_same_input_gives_same_bytes_and_row_order_does_not_matter(tables, tmp_path):
    settings = settings_for(("good", "plain"), metrics=["recon.share_test", "recon.auroc"])
    contrasts_of(settings, tables, tmp_path / "one")
    contrasts_of(settings, tables, tmp_path / "two")
    path = tables["recon/good"] / "documents.parquet"
    pq.write_table(pq.read_table(path).take(np.random.default_rng(0).permutation(120)), path)
    contrasts_of(settings, tables, tmp_path / "shuffled")
    for name in ("metrics.json", "contrasts.parquet"):
        contents = {(tmp_path / run / name).read_bytes() for run in ("one", "two", "shuffled")}
        assert len(contents) == 1


# -- fairness --------------------------------------------------------------------------------------


def unequal(**other) -> dict:
    settings = settings_for(("good", "plain"), ("plain", "twin"), **other)
    settings["recipes"]["good"]["token_budget"] = 800_000
    return settings


def test_an_unfair_comparison_is_refused_in_one_line_with_both_values(tables, tmp_path):
    with pytest.raises(GateError) as caught:
        contrasts_of(unequal(), tables, tmp_path / "out")
    line = str(caught.value)
    assert line.startswith("fair comparison: token_budget is 800000 for good and 400000 for plain")
    assert "\n" not in line and not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "entry",
    [
        "token_budget",
        {"pair": ["plain", "good"]},
        {"pair": ["good", "plain"], "fields": ["token_budget"]},
    ],
)
def test_allowed_unfair_comparison_lists_its_fields(tables, tmp_path, entry):
    unfair, fair = contrasts_of(unequal(allow_unfair=[entry]), tables, tmp_path / "out")
    assert unfair["unfair"] == ["token_budget"] and fair["unfair"] == []


@pytest.mark.parametrize(
    "entry",
    ["corpus", {"pair": ["good", "plain"], "fields": ["corpus"]}, {"pair": ["plain", "twin"]}],
)
def test_unfair_comparison_with_another_allowance_is_refused(tables, tmp_path, entry):
    with pytest.raises(GateError, match="token_budget"):
        contrasts_of(unequal(allow_unfair=[entry]), tables, tmp_path / "out")


def test_field_of_one_recipe_only_is_a_difference(tables, tmp_path):
    settings = settings_for(("good", "plain"))
    del settings["recipes"]["plain"]["corpus"]
    with pytest.raises(GateError, match="corpus is 'embedded' for good and 'not stated' for plain"):
        contrasts_of(settings, tables, tmp_path / "out")


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": ["recon.variance_explaned"]}, "did you mean 'variance_explained'"),
        ({"metrics": ["recno.auroc"]}, "did you mean 'recon/good'"),
        ({"metrics": ["auroc"]}, "not of the form"),
        ({"metrics": []}, "at least one metric"),
        ({"metrics": ["recon.dead_share"]}, "no per-unit values"),
        ({"metrics": ["recon.auroc"] * 2}, "twice"),
        ({"pairs": [["good", "plain"], ["plain", "good"]]}, "twice"),
        ({"pairs": [["good", "good"]]}, "two different coders"),
        ({"recipes": {"good": {}}}, "No recipe is given for plain"),
    ],
)
def test_a_wrong_declaration_is_refused_in_one_line(tables, tmp_path, changes, message):
    with pytest.raises(LedgerError, match=message) as caught:
        contrasts_of(settings_for(("good", "plain"), **changes), tables, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_misspelt_allowance_is_refused(tables, tmp_path):
    entry = {"pair": ["good", "plain"], "field": ["corpus"]}
    with pytest.raises(LedgerError, match="allow_unfair takes"):
        contrasts_of(unequal(allow_unfair=[entry]), tables, tmp_path / "out")


@pytest.mark.parametrize(
    "changes", [{"version": 2}, {"unit": "example"}, {"higher_is_better": False}]
)
def test_records_of_different_measurements_do_not_compare(tables, tmp_path, changes):
    edit_record(tables["recon/plain"], "variance_explained", **changes)
    with pytest.raises(GateError, match=f"same measurement: {next(iter(changes))}"):
        contrasts_of(settings_for(("good", "plain")), tables, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("share_test", {"columns": {"unit_id": "doc_id", "value": "shar"}}, "mean 'share'"),
        ("share_test", {"columns": {"unit_id": "doc_id"}}, "no column for 'value'"),
        ("share_test", {"where": {"spilt": "test"}}, "mean 'split'"),
        ("share_test", {"where": {"split": 3}}, "at least one unit"),
        ("share_test", {"where": {"split": "none"}}, "at least one unit"),
        ("share_test", {"where": {}}, "recomputed estimate"),
        ("share_test", {"estimate": None}, "recomputed estimate"),
        ("auroc", {"table": "gone.parquet"}, "does not exist"),
        ("auroc", {"columns": {"unit_id": "label", "score": "score", "label": "label"}}, "twice"),
    ],
)
def test_record_that_differs_from_its_table_is_refused(tables, name, changes, message):
    folder = tables["recon/good"]
    edit_record(folder, name, **changes)
    with pytest.raises(LedgerError, match=message):
        values_of(folder, name)


def test_an_ambiguous_metric_name_is_refused(tables):
    edit_record(tables["recon/good"], "dead_share", name="auroc")
    with pytest.raises(LedgerError, match="2 times"):
        metric_record(tables["recon/good"], "auroc")
