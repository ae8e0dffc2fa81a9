"""Jobs and rows of SAEBench and sae_probes, and configurations that they refuse."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from latent_ledger.evaluations.sae_probes import plan as sae_probes
from latent_ledger.evaluations.saebench import plan as saebench
from latent_ledger.evaluations.saebench import rows as saebench_rows
from latent_ledger.experiment import load
from latent_ledger.lib.errors import LedgerError
from latent_ledger.planning import graph
from latent_ledger.planning.stage import RowPlan
from tests.project import PROJECT
from tests.ways import way

CONFIG = PROJECT / "config/tiny.yaml"
KINDS = (saebench.NAME, saebench.CORE, sae_probes.NAME)


@pytest.fixture(scope="module")
def config():
    return load(CONFIG)


def overlaid(**evaluations):
    return load(CONFIG, [{"evaluations": evaluations}])


def test_every_row_needs_planned_jobs_and_its_saelens_gate(config):
    jobs = graph.jobs(config)
    rows = [row for row in graph.rows(config) if row.row_type in KINDS]
    assert len(rows) == 3 * 4
    for row in rows:
        assert set(way(row, config)) <= set(jobs), row.run_id
        name = row.run_id.partition("-")[2]
        assert f"gates/saelens/{name}.json" in way(row, config)
        assert way(row, config)[-1] == row.manifest


def test_coders_of_one_hook_point_share_artifacts_and_baseline(config):
    jobs = graph.jobs(config)
    artifacts = [path for path, job in jobs.items() if job.rule == saebench.ARTIFACTS]
    baselines = [path for path, job in jobs.items() if job.rule == sae_probes.BASELINE]
    assert (
        len(artifacts) == 2 * 3 and len(baselines) == 3
    )  # three hook points, two sizes, four coders
    path = "saebench_artifacts/probing/layers.2.mlp_in/400-200.json"
    settings = jobs[path].settings
    assert settings["train"] == 400 and settings["test"] == 200


def test_saebenchs_own_data_sets_have_texts_tokens_and_artifacts_of_their_own():
    names = ["LabHC/bias_in_bios_class_set1", "Helsinki-NLP/europarl"]
    config = overlaid(saebench={"datasets": names, "context": 64, "sizes": ["16-8", "8-4"]})
    jobs = graph.jobs(config)
    path = "saebench_texts/bias_in_bios_class_set1.json"
    assert jobs[path].rule == "saebench_texts"
    assert jobs[path].settings == {"dataset": names[0], "sizes": ["16-8", "8-4"], "seed": 42}
    tokens = "tokens/saebench-europarl.json"
    assert jobs[tokens].settings == {"layout": "examples", "keep": "beginning", "context": 64}
    artifacts = [path for path, job in jobs.items() if job.rule == saebench.ARTIFACTS]
    assert len(artifacts) == 2 * 2 * 3, "data sets, sizes, hook points"
    row = next(row for row in graph.rows(config) if row.row_type == saebench.NAME)
    assert set(way(row, config)) <= set(jobs) and tokens in way(row, config)
    assert row.columns["dataset"] == ", ".join(names)


def test_probe_texts_exclude_all_training_corpora(config):
    assert sae_probes.trained_on(config) == ["corpus/model.json", "corpus/coder.json"]
    assert graph.jobs(config)["tokens/sae-probes.json"].inputs["text"] == "probe_texts.json"


@pytest.mark.parametrize(
    ("block", "line"),
    [
        ({"saebench": {"sizes": ["4000-1000"]}}, "4000 train examples are not between 4 and the"),
        ({"saebench": {"sizes": ["big"]}}, "evaluations.saebench.sizes"),
        (
            {"saebench": {"datasets": ["fancyzhx/ag_news"], "sizes": ["16-8"]}},
            "128 is longer than the model's context of 64",
        ),
        (
            {"saebench": {"datasets": ["fancyzhx/ag_news"], "context": 64, "sizes": ["10-8"]}},
            "10 examples do not divide by 4",
        ),
        ({"saebench": {"datasets": ["fancyzhx/ag_new"]}}, "did you mean 'fancyzhx/ag_news'?"),
        ({"saebench": {"top_k": [2000]}}, "2000 latents exceed the width of sae-resid, 1024"),
        ({"sae_probes": {"top_k": [2000]}}, "sae_probes.top_k[0]: 2000 latents exceed"),
        ({"sae_probes": {"context": 128}}, "longer than the model's context of 64"),
        (
            {"sae_probes": {"datasets": ["65_high-school", "96_spam_is", "159_code_Pyton"]}},
            "no data set '159_code_Pyton'; did you mean '159_code_Python'",
        ),
    ],
)
def test_contradictory_configuration_is_refused(block, line):
    with pytest.raises(LedgerError) as refused:
        overlaid(**block)
    assert line.replace("'", '"') in str(refused.value).replace("'", '"')


def metric(name, estimate, ci=None, n=6, unit="concept"):
    return {"name": name, "estimate": estimate, "ci": ci, "n": n, "unit": unit}


def payload(tmp_path, metrics, **facts):
    from latent_ledger.lib.files import write_json

    write_json(tmp_path / "metrics.json", {"metrics": metrics})
    return SimpleNamespace(folder=lambda: tmp_path, facts=facts)


ROW = RowPlan("saebench-x", "saebench", "m.json", {})


def test_transcoder_row_names_its_input_hook(tmp_path):
    metrics = [
        metric("top_1", 0.6, [0.55, 0.65]),
        metric("llm_top_1", 0.55, [0.5, 0.6]),
        metric("gap_1", 0.05, [-0.01, 0.1]),
    ]
    for hook_point, note in (("layers.2.mlp_in", "mlp_in"), ("layers.2.resid_post", None)):
        finding = saebench_rows.read_probing(
            ROW,
            payload(
                tmp_path, metrics, datasets=["occupations"], sizes=["6-4"], hook_point=hook_point
            ),
        )
        assert ("not comparable with SAEs on the residual" in finding.notes) == (note is not None)
        assert finding.null == 0.5 and finding.main["name"] == "top_1"
        assert "accuracy at 6-4 examples (n=6 concepts)" in finding.key_results


def test_cross_check_reference_is_a_difference_of_zero(tmp_path):
    metrics = [
        metric("largest_difference", 2e-6, n=2, unit="metric"),
        *(metric(f"{name}/{side}", 0.5) for name in ("l0", "mse") for side in ("ours", "theirs")),
    ]
    facts = {"wrong": ["explained_variance", "mse"], "tokens": 8000}
    finding = saebench_rows.read_core(ROW, payload(tmp_path, metrics, **facts))
    assert finding.reference == {"value": 0.0, "tolerance": 1e-4}
    assert "SAEBench is wrong in mse" in finding.key_results
