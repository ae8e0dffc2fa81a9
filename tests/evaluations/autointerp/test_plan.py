"""Jobs, rows and checks of auto-interp, and the text of its rows."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from latent_ledger import experiment
from latent_ledger.config.coder_specs import coders_measured_by
from latent_ledger.config.schema_file import schema
from latent_ledger.evaluations.autointerp import plan as stage
from latent_ledger.evaluations.autointerp import protocol, rows, score
from latent_ledger.evaluations.headtohead import plan as headtohead
from latent_ledger.evaluations.headtohead import rows as headtohead_rows
from latent_ledger.ledger.verdicts import verdict
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.planning import graph
from latent_ledger.planning.stage import RowPlan
from latent_ledger.scorers import registry
from tests.evaluations.autointerp.planted import PlantedScorer
from tests.project import PROJECT
from tests.ways import way

VLLM = {"backend": "vllm", "model": "acme/tiny"}
OPENAI = {"backend": "openai", "model": "acme/tiny", "base_url": "http://localhost:8000/v1"}
TINY = PROJECT / "config/tiny.yaml"


def tiny(**changes):
    return experiment.load(TINY, [{"evaluations": {"autointerp": changes}}])


@dataclass
class Payload:
    """A payload as the ledger reads it."""

    path: Path

    def folder(self):
        return self.path

    @property
    def facts(self):
        return read_json(self.path / "metrics.json")["facts"]


def test_every_coder_has_its_jobs_and_a_row_per_scorer_and_encoder():
    config = tiny()
    coders = [spec.name for spec in coders_measured_by(config, "autointerp")]
    jobs = stage.jobs(config)
    assert len(jobs) == 6 * len(coders)
    explain = jobs["explanations/sae-resid-k32-s0/lexical.json"]
    assert (explain.rule, explain.settings) == ("explain", {"scorer": {"backend": "lexical"}})
    shown = {
        name: jobs[f"autointerp/{name}/sae-resid-k32-s0.json"].settings.get("examples_shown")
        for name in ("lexical", "minilm")
    }
    block = config["evaluations"]["autointerp"]
    assert shown == {"lexical": block["examples_shown"], "minilm": None}
    rows = {row.run_id: row for row in stage.rows(config, jobs)}
    assert len(rows) == 3 * len(coders)
    row = rows["ai-sae-resid-k32-s0-lexical"]
    assert row.metric == "detection_lexical" and way(row, config)[-1] == row.manifest
    assert "scorer: lexical (no model)" in row.columns["coder_type"]
    assert set(way(row, config)) & set(jobs) == {
        "latent_examples/sae-resid-k32-s0.json",
        "explanations/sae-resid-k32-s0/lexical.json",
        "latent_scores/sae-resid-k32-s0/lexical.json",
        "autointerp/lexical/sae-resid-k32-s0.json",
    }
    assert set(way(rows["ai-sae-resid-k32-s0-minilm"], config)) & set(jobs) == {
        "latent_examples/sae-resid-k32-s0.json",
        "embedding_scores/sae-resid-k32-s0/minilm.json",
        "autointerp/minilm/sae-resid-k32-s0.json",
    }
    assert rows["sample-sae-resid-k32-s0"].manifest == stage.examples("sae-resid-k32-s0")
    controls = [row for row in rows.values() if "sae-random-k32" in row.run_id]
    assert all("random sae" in row.columns["coder_type"] for row in controls)


def test_jobs_of_a_backend_get_its_settings_and_no_others():
    endpoint_settings = {"model": "acme/tiny", "logprobs": True}
    endpoint = {"backend": "openai", "base_url": "http://localhost:8000/v1", **endpoint_settings}
    scorers = {"far": endpoint, "near": {"backend": "vllm", "revision": "abc", **endpoint_settings}}
    config = tiny(scorers=scorers)
    jobs = stage.jobs(config)
    far, near = (
        jobs[f"latent_scores/sae-resid-k32-s0/{name}.json"].settings["scorer"] for name in scorers
    )
    for name, environment in (("far", None), ("near", "scorer")):
        for what in ("explanations", "latent_scores"):
            job = jobs[stage.manifest_of(what, "sae-resid-k32-s0", name)]
            assert job.settings.get("environment") == environment
    common = {"backend", "model", "concurrency", "retries", "timeout"}
    common |= {"temperature", "max_tokens", "logprobs"}
    assert {*far} == common | {"base_url", "api_key_env"}
    served = {"revision", "dtype", "max_model_len", "gpu_memory_utilization"}
    served |= {"arguments", "startup_timeout"}
    assert {*near} == common | served and near["max_model_len"] == 5120
    assert stage.label(config, "near") == "scorer: near (acme/tiny at abc)"
    assert stage.label(config, "far") == "scorer: far (acme/tiny)"


def test_change_of_averaging_plans_no_new_prompts():
    before, after = stage.jobs(tiny()), stage.jobs(tiny(resamples=500, reference_frequency=0.02))
    changed = {path for path in before if before[path] != after[path]}
    assert changed and all(path.startswith("autointerp/") for path in changed)


@pytest.mark.parametrize(
    ("metric", "scorer"),
    [
        ("detection_lexical", "lexical"),
        ("fuzzing_matched_qwen-7b_adjusted", "qwen-7b"),
        ("fuzzing_matched", "matched"),
        ("fuzzing_matched_matched_auroc", "matched"),
        ("embedding_adjusted_unread", "adjusted"),
    ],
)
def test_source_of_a_metric_is_the_evaluation_of_its_scorer(metric, scorer):
    assert stage.source(metric) == f"autointerp/{scorer}"


def test_unknown_metric_name_is_a_one_line_error():
    with pytest.raises(LedgerError, match="autointerp has no metric 'accuracy'"):
        stage.source("accuracy")


def test_metrics_of_autointerp_can_be_compared():
    comparison = {
        "families": {
            "meaning": {
                "metrics": ["autointerp.detection_lexical", "autointerp.embedding_minilm_auroc"],
                "pairs": [["sae-resid", "transcoder"]],
                "select": {"k": [32], "seeds": [0]},
            }
        }
    }
    config = experiment.load(TINY, [{"comparisons": comparison}])
    read = {
        f"autointerp/{name}": [
            f"autointerp/{name}/sae-resid-k32-s0.json",
            f"autointerp/{name}/transcoder-k32-s0.json",
        ]
        for name in ("lexical", "minilm")
    }
    assert headtohead.manifests(config, "meaning") == read
    jobs = graph.jobs(config)
    assert jobs["headtohead/meaning.json"].settings["sources"] == {
        "autointerp.detection_lexical": "autointerp/lexical",
        "autointerp.embedding_minilm_auroc": "autointerp/minilm",
    }
    rows = [row for row in headtohead.rows(config, jobs) if row.manifest.endswith("/meaning.json")]
    assert len(rows) == 2
    for row in rows:
        assert {*jobs[row.manifest].manifests()} == {*sum(read.values(), [])}
        assert set(row.closest) <= {*sum(read.values(), [])}


def test_matched_family_has_rows_that_name_the_match():
    config = tiny()
    jobs = graph.jobs(config)
    raw, matched = (
        jobs[f"headtohead/controls-autointerp{tail}.json"].settings for tail in ("", "-matched")
    )
    assert "match" not in raw and matched.pop("match") == "frequency" and matched == raw
    rows = {row.run_id: row for row in headtohead.rows(config, jobs)}
    pair = "sae-resid-vs-sae-random-k32-s0"
    assert rows[f"h2h-detection-lexical-{pair}"].manifest != (
        rows[f"h2h-detection-lexical-matched-{pair}"].manifest
    )
    assert (
        headtohead_rows.pairing({"matched_on": "frequency", "paired": True})
        == "matched on frequency"
    )
    assert headtohead_rows.pairing({"matched_on": None, "paired": False}) == "unpaired"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"example_tokens": 24}, "example_tokens: 24 tokens do not divide tokens.context, 64"),
        ({"n_train": 21}, "n_train: 21 is not a multiple of quantiles, 5"),
        ({"min_examples": 39}, "min_examples: 39 is less than twice n_train, 20"),
        ({"examples_shown": 3}, "examples_shown: 3 does not divide n_test + n_negatives, 40"),
        ({"quantiles": 10}, "quantiles: 10 leave 2 test examples in each"),
        ({"strata": [0.1, 0.01]}, "strata: the cut points are not in ascending order"),
        ({"n_negatives": 10}, "n_negatives: example embedding needs more than 10, not 10"),
        ({"scorers": {"q": {"backend": "openai"}}}, "scorers.q.base_url: missing"),
        (
            {"scorers": {"q": {"backend": "vllm"}}},
            "scorers.q.model: missing; a scorer of backend vllm",
        ),
        (
            {"scorers": {"q": {**VLLM, "base_url": "http://localhost/v1"}}},
            "scorers.q.base_url: is for backend openai; a scorer of backend vllm does not take it",
        ),
        (
            {"scorers": {"q": {**VLLM, "arguments": ["--port=80"]}}},
            "scorers.q.arguments: --port is chosen by the job; leave it out",
        ),
        (
            {"scorers": {"q": {**VLLM, "arguments": ["--max_model_len", "99"]}}},
            "scorers.q.arguments: --max-model-len has a key of its own, max_model_len",
        ),
        (
            {"scorers": {"q": {**VLLM, "max_model_len": 500}}},
            "scorers.q.max_tokens: 500 leave no room for a prompt in max_model_len, 500",
        ),
        (
            {"scorers": {"q": {"backend": "lexical", "temperature": 0.5}}},
            "scorers.q.temperature: is for backend openai, vllm; a scorer of backend lexical",
        ),
        (
            {"scorers": {"q": {**OPENAI, "revision": "abc"}}},
            "scorers.q.revision: is for backend vllm; a scorer of backend openai",
        ),
        ({"scorers": {"minilm": {"backend": "lexical"}}}, "this name is an encoder's too"),
        ({"scorers": {"lexical": {"backend": "lexcal"}}}, 'did you mean "lexical"'),
    ],
)
def test_sizes_that_do_not_fit_are_one_line_each(changes, line):
    with pytest.raises(experiment.ConfigError) as error:
        tiny(**changes)
    assert any(line in problem for problem in error.value.lines), error.value.lines


def test_schema_lists_all_scores_and_backends():
    block = schema()["properties"]["evaluations"]["properties"]["autointerp"]["properties"]
    assert tuple(block["scores"]["items"]["enum"]) == protocol.ASKED
    assert tuple(score.CLASSIFIERS) == protocol.CLASSIFIED
    settings = block["scorers"]["additionalProperties"]["properties"]
    assert settings["backend"]["enum"] == list(registry.SCORERS)
    for kind in registry.SCORERS.values():
        assert kind.settings <= {*settings}, kind.name


def test_a_row_names_its_scorer_its_n_and_every_dropped_latent(run, latents):
    _, folders, _ = run(PlantedScorer(latents))
    plan = RowPlan(
        "ai-planted-k1-s0-it",
        stage.NAME,
        "",
        {"coder_type": "eval (auto-interp, scorer: it (no model), sae)"},
        metric="detection_it",
    )
    finding = rows.read(plan, Payload(folders["collect"]))
    assert finding.main["estimate"] == 1.0 and finding.null == 0.5
    assert finding.key_results.startswith(
        "detection 1.000 [1.000, 1.000] (frequency-adjusted 1.000"
    )
    assert (
        "n=12 latents of 15, dropped: 1 fires almost everywhere, 1 never fires, 1 too few windows; "
        "unread answers 0.0% of 96 prompts; scorer: it (no model)" in finding.key_results
    )
    row = SimpleNamespace(row_type=stage.NAME, run_id=plan.run_id, metrics=finding.metrics)
    text = rows.section([row])
    assert "| `planted-k1-s0-it` | 1.000 [1.000, 1.000] |" in text and text.endswith("12 latents |")
    assert rows.section([]) == ""


@pytest.mark.parametrize(("behaviour", "label"), [("coin", "inconclusive"), ("oracle", "novel")])
def test_intruders_guessed_by_chance_are_inconclusive(run, latents, behaviour, label):
    _, folders, _ = run(PlantedScorer(latents, behaviour), scores=["intruder"])
    columns = {"coder_type": "eval (auto-interp, scorer: it (no model), sae)"}
    plan = RowPlan("ai-planted-k1-s0-it", stage.NAME, "", columns, metric="intruder_it")
    finding = rows.read(plan, Payload(folders["collect"]))
    assert finding.null == 0.2, "five examples are shown"
    assert verdict(finding.main, null=finding.null, alpha=0.05) == label


def test_sample_row_counts_latents_without_examples(made):
    folder, facts = made
    row = RowPlan("sample-planted-k1-s0", stage.SAMPLE, "", {})
    finding = rows.read_sample(row, SimpleNamespace(facts=facts))
    assert finding.key_results == (
        "12 of 15 latents drawn have examples; dropped: 1 fires almost everywhere, 1 never fires, "
        "1 too few windows"
    )
    shares = {metric["name"]: metric["estimate"] for metric in finding.metrics}
    assert shares.pop("scorable") == 12 / 15 and sum(shares.values()) == pytest.approx(3 / 15)
    assert set(shares) == {
        "dropped/never_fires",
        "dropped/too_few_windows",
        "dropped/fires_almost_everywhere",
    }
