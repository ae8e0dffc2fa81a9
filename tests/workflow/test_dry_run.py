"""Dry runs of the large experiment: offline, without tokens, in seconds, with a bill."""

import os
import re
import subprocess
import sys

import pytest
import yaml

from tests.project import PROJECT

pytestmark = pytest.mark.slow

FAKE = """
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

common_settings = CommonSettings(
    non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False,
    pass_default_storage_provider_args=False, pass_default_resources_args=False,
    pass_envvar_declarations_to_cmd=False, auto_deploy_default_storage_provider=False,
)

class Executor(RemoteExecutor):
    def run_job(self, job):
        print("SUBMITTED", job.rule.name, flush=True)
        self.report_job_error(SubmittedJobInfo(job))

    async def check_active_jobs(self, active_jobs):
        for job in active_jobs:
            yield job

    def cancel_jobs(self, active_jobs):
        pass
"""
"""An executor of machines elsewhere that has none: it says what it was given, and fails it."""


def snakemake(*arguments, cwd=PROJECT, path="", **extra):
    """Run snakemake without a network, a token or a home that could hold one."""
    names = ("PATH", "LANG", "TMPDIR")
    environment = {name: os.environ[name] for name in names if name in os.environ}
    environment |= {
        "PYTHONPATH": f"{PROJECT / 'src'}:{path}",
        "HF_HUB_OFFLINE": "1",
        "LATENT_LEDGER_STORE": str(extra.pop("store")),
        "HOME": str(cwd),
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile"), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def folder(tmp_path):
    """A working directory with nothing in it but the configurations."""
    for name in ("config", "profiles"):
        (tmp_path / name).symlink_to(PROJECT / name)
    return tmp_path


@pytest.fixture
def call(folder):
    return lambda *arguments, **extra: snakemake(
        *arguments, cwd=folder, store=folder / ".store", **extra
    )


LARGE = ("--configfile", "config/config.yaml")


def bill_of(output: str) -> list[list[str]]:
    """Lines of the bill by rule, split at two spaces or more."""
    text = output.partition("Expected in all:\n")[2].partition("\n\n")[0]
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()[2:]]


def test_the_large_experiment_lists_every_job_with_gpu_minutes_and_dollars(call):
    done = call("-n", "--nocolor", *LARGE)
    assert done.returncode == 0, done.stderr[-3000:]
    jobs, rules = done.stdout.split("Expected of each job:\n")[1].split("Expected in all:\n")
    listed = jobs.strip().splitlines()[2:]
    counted = int(re.findall(r"^total\s+(\d+)$", done.stdout, re.MULTILINE)[0])
    assert len(listed) == counted - 1  # without the target `all`, which does nothing
    assert all(re.search(r"(-|L4|A100-40GB)\s+\d+\.\d\s+\d+\.\d\d$", line) for line in listed)
    *by_rule, total = bill_of(done.stdout)
    assert total[0] == "total" and int(total[1]) == counted - 1
    assert float(total[-1]) == pytest.approx(sum(float(row[-1]) for row in by_rule), abs=0.5)
    assert float(total[-1]) > 1
    gpus = {row[0]: row[1] for row in by_rule}
    assert gpus["train_coder"] == "L4" and gpus["headtohead"] == gpus["probing"] == "-"
    summary = re.search(r"(\d+) jobs are expected .* cost \$([\d.]+) at the prices of (\S+)", rules)
    assert summary[1] == total[1] and summary[2] == total[-1]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", summary[3])


def test_a_quiet_dry_run_has_the_sums_only(call):
    done = call("-n", "--quiet", "rules", "host", *LARGE)
    assert "Expected of each job" not in done.stdout
    assert bill_of(done.stdout)[-1][0] == "total"


def test_the_laptop_experiment_has_minutes_and_no_dollars(call):
    done = call("-n", "--quiet", "rules", "host", "--configfile", "config/tiny.yaml")
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(bill_of(done.stdout)[-1]) == 3  # total, jobs, minutes
    assert "$" not in done.stdout.partition("Expected in all")[2].partition("Reasons")[0]
    assert "gpu=" not in done.stdout


def test_a_model_of_unknown_size_is_said_to_be_assumed(call):
    unknown = "model={source: nobody/knows}"
    without_plan = "references={ai-g2-7b-ATTEMPT: absent}"  # a plan needs the model's size
    done = call("-n", "-q", "rules", "host", *LARGE, "--config", unknown, without_plan)
    assert "The size of nobody/knows is not known" in done.stdout, done.stdout[-2000:]


# -- the budget -----------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(folder):
    """Arguments of a run on an executor that is not this machine."""
    package = folder / "plugins/snakemake_executor_plugin_elsewhere"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FAKE)
    return ("--executor", "elsewhere", "--jobs", "4", *LARGE, "--nolock")


def test_a_run_above_the_budget_does_not_start(call, elsewhere, folder):
    done = call(*elsewhere, "--config", "budget_usd=0.5", path=folder / "plugins")
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "SUBMITTED" not in output
    (line,) = [line for line in output.splitlines() if "budget_usd is $0.50" in line]
    assert "expected to cost $" in line and "snakemake -n" in line
    assert "Traceback" not in output


def test_a_run_within_the_budget_starts(call, elsewhere, folder):
    done = call(*elsewhere, "--config", "budget_usd=1000", path=folder / "plugins")
    assert "SUBMITTED" in done.stdout, done.stderr[-3000:]
    assert "The ledger is written" in done.stderr + done.stdout, done.stderr[-3000:]


# -- Slurm ----------------------------------------------------------------------------------------


def test_the_slurm_profile_gives_the_same_graph_with_gpus_that_sbatch_takes(call, folder):
    profile = yaml.safe_load((PROJECT / "profiles/slurm/config.yaml").read_text())
    assert profile["executor"] == "slurm"
    # the rest of it is Snakemake's own and can be run here, on another executor
    rest = {key: value for key, value in profile.items() if not key.startswith("slurm-")}
    (folder / "own").mkdir()
    (folder / "own/config.yaml").write_text(yaml.safe_dump(rest | {"executor": "local"}))
    done = call("-n", "--nocolor", "--profile", "own")
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(bill_of(done.stdout)[-1][1]) > 300
    resources = [line for line in done.stdout.splitlines() if "resources:" in line]
    models = {word for line in resources for word in re.findall(r"gpu_model=([^,\s]+)", line)}
    assert models == {"l4", "a100"}
    # what the plugin accepts as a model, and what sbatch cannot do without
    assert all(re.fullmatch(r"[a-zA-Z0-9_.]+", word) for word in models)
    asked = [line for line in resources if "expected_seconds" in line]
    assert all("mem_mb=" in line and "runtime=" in line for line in asked)
    assert all(("gpu=1" in line) == ("gpu_model=" in line) for line in asked)
