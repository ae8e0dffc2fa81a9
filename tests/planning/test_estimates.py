"""What every job of the house's experiments gets, and how near the reference's wall clocks come."""

from dataclasses import replace
from pathlib import Path

import pytest

from latent_ledger import experiment
from latent_ledger.config.schema_file import schema
from latent_ledger.lib.errors import LedgerError
from latent_ledger.planning.estimates import COSTS, START_GPU, Planner
from latent_ledger.resources.architectures import published
from latent_ledger.resources.devices import gpus
from latent_ledger.resources.work import DOWNLOAD, Planned
from latent_ledger.scorers.vllm.entry import SERVER_START
from tests.project import PROJECT

ROOT = PROJECT
SERVED_MODEL = {
    "backend": "vllm",
    "model": "Qwen/Qwen2.5-7B-Instruct",
    "revision": None,
    "dtype": "bfloat16",
    "max_model_len": 5120,
    "gpu_memory_utilization": 0.85,
    "concurrency": 16,
}


@pytest.fixture(scope="module")
def full() -> dict:
    return experiment.load(ROOT / "config/config.yaml")


@pytest.fixture(scope="module")
def planner(full) -> Planner:
    return Planner(full)


@pytest.mark.parametrize("name", ["config.yaml", "tiny.yaml"])
def test_every_planned_job_has_an_estimate(name):
    planner = Planner(experiment.load(ROOT / "config" / name))
    for path in planner.jobs:
        estimate = planner.job(path)
        assert 0 < estimate.seconds < 24 * 3600 and estimate.mem_mb >= 1_000, path
        assert estimate.minutes * 60 >= 3 * estimate.seconds, path


def test_rules_that_use_a_gpu_have_one_and_others_none(planner):
    for path, job in planner.jobs.items():
        served = job.settings.get("scorer", {}).get("backend") == "vllm"
        assert (planner.job(path).gpu is not None) is (COSTS[job.rule].gpu or served), path


def test_the_schema_names_the_gpus_and_rules_there_are():
    hardware = schema()["properties"]["hardware"]["properties"]
    assert hardware["gpus"]["items"]["enum"] == list(gpus())
    assert list(hardware["names"]["properties"]) == list(gpus())
    named = hardware["gpu"]["properties"]
    served = {"explain", "score_latents"}
    assert set(named) == {name for name, rule in COSTS.items() if rule.gpu} | served
    assert all(part["enum"] == list(gpus()) for part in named.values())


def test_without_listed_gpus_no_job_has_one():
    planner = Planner(experiment.load(ROOT / "config/tiny.yaml"))
    assert {planner.job(path).gpu for path in planner.jobs} == {None}


def test_laptop_experiment_is_estimated_near_its_wall_clock():
    """2,000 s of two cores were seen in November 2026, imports included; since then jobs fork."""
    planner = Planner(experiment.load(ROOT / "config/tiny.yaml"))
    paths = {planner.planned(path).path for path in planner.jobs}
    # one capture makes several manifests
    first = {str(Path(p).parent): p for p in paths if p.startswith("activations/")}
    paths = {p for p in paths if not p.startswith("activations/")} | set(first.values())
    seconds = sum(planner.job(path).seconds for path in paths) / 2
    assert 1_000 < seconds < 4_000, seconds


def test_a_model_that_fits_nowhere_is_one_line(full):
    small = {**full, "hardware": {**full["hardware"], "gpus": ["L4"]}}
    small["evaluations"] = dict(full["evaluations"])
    small["evaluations"]["reconstruction"] = {**full["evaluations"]["reconstruction"], "batch": 64}
    path = next(p for p in Planner(small).jobs if p.startswith("reconstruction/"))
    with pytest.raises(LedgerError, match="evaluations.reconstruction.batch") as caught:
        Planner(small).job(path)
    assert "\n" not in str(caught.value) and "L4 has 22.03" in str(caught.value)


def test_a_rules_own_gpu_goes_before_the_first_that_fits(full):
    hardware = {**full["hardware"], "gpu": {"train_coder": "H100"}}
    planner = Planner({**full, "hardware": hardware})
    trained = next(path for path, job in planner.jobs.items() if job.rule == "train_coder")
    assert planner.job(trained).gpu == "H100"


def test_hardware_enters_no_setting_of_a_measurement(full):
    other = {**full, "hardware": {**full["hardware"], "gpus": ["H100"]}}
    ours, theirs = (
        {path: job for path, job in Planner(config).jobs.items() if job.rule != "memory_plan"}
        for config in (full, other)
    )
    assert ours == theirs


def test_unknown_model_is_assumed_and_listed(full):
    planner = Planner({**full, "model": {**full["model"], "source": "nobody/knows-this"}})
    assert planner.unknown == ["nobody/knows-this"]
    assert planner.model == published()["google/gemma-2-2b"]
    assert Planner(full).unknown == []


# -- the reference ledger's wall clocks, June 2026 ------------------------------------------------


def seconds(planner, path: str, gpu: str, **changes) -> float:
    """Estimate of a planned job at other sizes, on a GPU."""
    planned = replace(planner.planned(path), **changes)
    return planner._seconds(COSTS[planned.rule].work(planned), gpus()[gpu], planned.dtype)


def path_of(planner, rule: str) -> str:
    return next(path for path, job in planner.jobs.items() if job.rule == rule)


def fetched(name: str) -> float:
    """Seconds to fetch a model, which every job of the reference did anew."""
    return published()[name].weights_bytes("bfloat16") / DOWNLOAD


def autointerp(planner, scorer: str, gpu: str, latents: int) -> float:
    """Caching, explaining and scoring (detection and fuzzing) in one go, as the reference did."""
    total = fetched("google/gemma-2-2b") + fetched(scorer)
    capture = next(p for p in planner.jobs if p.startswith("activations/scoring/"))
    total += seconds(planner, capture, gpu, tokens=200_000, hook_points=1)
    settings = {"scorer": {**SERVED_MODEL, "model": scorer}, "scores": ["detection", "fuzzing"]}
    block = {**planner.config["evaluations"]["autointerp"], "latents": latents}
    block |= {"n_test": 40, "n_negatives": 35}  # repro-004: 1,355 examples of 18 latents
    changed = {**planner.config, "evaluations": {"autointerp": block}}
    for rule in ("explain", "score_latents"):
        planned = Planned(changed, "", rule, settings, planner.model, 0, scorer=published()[scorer])
        total += planner._seconds(COSTS[rule].work(planned), gpus()[gpu], planned.dtype)
    return total - SERVER_START - START_GPU  # the reference started one server, not two


def test_wall_clocks_of_the_reference_within_a_factor_of_two(planner):
    coder = "sae-resid-k64-s0"
    captured = next(p for p in planner.jobs if p.startswith("activations/coder/"))
    evaluated = next(p for p in planner.jobs if p.startswith("activations/evaluation/"))
    whole = planner.model.layers
    gemma = fetched("google/gemma-2-2b")
    seconds_by_row = {
        # sparsify runs the whole model, and the coder beside it
        "train-g2-sae, ~25 min": (
            25,
            gemma
            + seconds(planner, captured, "L4", hook_points=0, layers=whole)
            + seconds(planner, f"coders/{coder}.json", "L4"),
        ),
        "recon-g2-sae, ~5 min": (
            5,
            gemma
            + seconds(planner, evaluated, "L4", tokens=12_000, hook_points=1)
            + seconds(planner, f"codes/evaluation/{coder}.json", "L4", tokens=12_000)
            + seconds(planner, f"reconstruction/{coder}.json", "L4", tokens=12_000),
        ),
        "ai-g2-sae-7b, 58 latents, ~8 min": (
            8,
            autointerp(planner, "Qwen/Qwen2.5-7B-Instruct", "A100-40GB", 58),
        ),
        "ai-g2-sae, 58 latents, ~25 min": (
            25,
            autointerp(planner, "Qwen/Qwen2.5-3B-Instruct", "L4", 58),
        ),
        "repro-004, 18 latents, ~8 min": (
            8,
            autointerp(planner, "Qwen/Qwen2.5-3B-Instruct", "L4", 18),
        ),
    }
    ratios = {name: estimate / 60 / minutes for name, (minutes, estimate) in seconds_by_row.items()}
    assert all(0.5 <= ratio <= 2 for ratio in ratios.values()), ratios.values()
