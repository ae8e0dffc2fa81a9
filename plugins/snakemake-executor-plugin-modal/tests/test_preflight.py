"""Checks before the first job, the budget, the completing hook, and secrets."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

RULE = 'rule one:\n  output: "x"\n  log: "x.log"\n  shell: "echo x > {output}"\n'


def refused(bench, *arguments: str) -> str:
    """The line of a run that does not start."""
    output = bench.run(*arguments, ok=False).output
    (line,) = [line for line in output.splitlines() if line.startswith("Error: ")]
    assert "Traceback" not in output and not bench.server.sandboxes
    return line.removeprefix("Error: ")


def test_dry_run_without_token_and_network_works(bench):
    bench.file("Snakefile", RULE)
    bench.environment.update(
        MODAL_TOKEN_ID="", MODAL_TOKEN_SECRET="", MODAL_SERVER_URL="http://127.0.0.1:9"
    )
    assert "rule one:" in bench.run("-n").output


def test_missing_token_is_refused_in_one_line(bench):
    bench.file("Snakefile", RULE)
    bench.environment.update(MODAL_TOKEN_ID="", MODAL_TOKEN_SECRET="")
    assert refused(bench) == (
        "No Modal token found: type `modal token new`, or set MODAL_TOKEN_ID and "
        "MODAL_TOKEN_SECRET."
    )


def test_wrong_token_is_refused_in_one_line(bench):
    bench.file("Snakefile", RULE)
    bench.environment.update(MODAL_TOKEN_SECRET="as-wrong")
    assert refused(bench).startswith("Modal does not accept the token: type `modal token new`")


def test_missing_volume_secret_or_variable_is_refused_in_one_line(bench):
    bench.file("Snakefile", RULE)
    assert refused(bench, "--modal-volume", "nowhere") == (
        "There is no Modal Volume 'nowhere': type `modal volume create nowhere --version=2`."
    )
    assert refused(bench, "--modal-secrets", "huggingface") == (
        "There is no Modal Secret 'huggingface': type `modal secret create huggingface "
        "NAME=VALUE`, with the variables that your jobs need."
    )
    assert refused(bench, "--modal-pass-env", "NOT_SET_ANYWHERE") == (
        "The environment variable NOT_SET_ANYWHERE is not set: export NOT_SET_ANYWHERE=..."
    )


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ('gpu=1, gpu_model="L5"', "one: gpu_model=L5 is no GPU that Modal is known to have; did"),
        ("gpu=1", "one asks for gpu=1 but names no GPU: set the resource gpu_model"),
        ('image="other"', "one wants the image 'other', and the settings know default: add"),
        ("runtime=2000", "one: runtime is 2000 minutes, and a Sandbox lives for 1440 at most"),
    ],
)
def test_impossible_resources_are_refused_in_one_line(bench, resources, message):
    bench.file("Snakefile", RULE.replace("  shell", f"  resources: {resources}\n  shell"))
    assert refused(bench).startswith(message)


def test_wrong_lock_file_is_refused_in_one_line(bench):
    bench.file("Snakefile", RULE)
    bench.file("requirements.lock", "snakemake==1.0\n")
    assert refused(bench).startswith("The image 'default' has Snakemake 1.0 and this machine ")
    bench.file("requirements.lock", "snakemake>=9\n")
    assert "'snakemake>=9' is not pinned" in refused(bench)
    (bench.root / "requirements.lock").unlink()
    assert refused(bench).startswith("The lock file requirements.lock of the image 'default' can")


BUDGETED = """
rule all:
    input: expand("{n}.out", n=range(4))

rule dear:
    output: "{n}.out"
    log: "{n}.log"
    resources: gpu=1, gpu_model="H100", expected_seconds=3600
    shell: "sleep 2; echo made > {output}"
"""


def test_budget_when_exceeded_refuses_to_start_or_stops_submitting(bench):
    bench.file("Snakefile", BUDGETED)
    line = refused(bench, "--modal-budget-usd", "10")
    assert line.startswith("4 jobs are expected to cost $16.") and "budget of $10.00" in line
    # Without an expectation the time limit counts for the running ones: two of four fit.
    bench.file("Snakefile", BUDGETED.replace("expected_seconds=3600", "runtime=60"))
    run = bench.run("--config", "budget_usd=9", ok=False)
    assert run.output.count("the budget of $9.00 would be exceeded") >= 1
    done = sorted(bench.root.glob("*.out"))
    assert len(done) == 2 and not bench.alive()
    assert len(bench.server.sandboxes) == 2


HOOK = """
from pathlib import Path

def complete(job, read):
    content = read(f"store/{job.wildcards.n}")
    if content is None:
        return False
    Path(job.output[0]).write_bytes(content)
    return True
"""


def test_hook_that_returns_true_completes_jobs_without_a_sandbox(bench):
    bench.file(
        "Snakefile",
        'rule all:\n  input: "1.out", "2.out"\n'
        'rule kept:\n  output: "{n}.out"\n  benchmark: "{n}.tsv"\n  shell: "echo new > {output}"\n',
    )
    bench.file("hooks.py", HOOK)
    stored = bench.server.volume("bench") / "store"
    stored.mkdir()
    (stored / "1").write_text("stored\n")
    bench.run("--modal-complete", "hooks:complete")
    assert (bench.read("1.out"), bench.read("2.out")) == ("stored\n", "new\n")
    assert len(bench.server.sandboxes) == 1 and bench.read("1.tsv").startswith("s\t")
    bench.file("hooks.py", "def complete(job, read):\n    raise ValueError('broken hook')\n")
    (bench.root / "1.out").unlink()
    run = bench.run("--modal-complete", "hooks:complete")
    assert "--modal-complete failed (ValueError: broken hook); the job runs in" in run.output
    assert bench.read("1.out") == "new\n"


def test_secrets_in_logs_and_files_are_hidden(bench):
    bench.server.secret("vault", VAULT_TOKEN="hf_FROM_THE_VAULT")
    bench.environment.update(PASSED_ALONG="value_PASSED", DECLARED="value_DECLARED")
    bench.file(
        "Snakefile",
        'envvars: "DECLARED"\n'
        'rule leaky:\n  output: "x"\n  log: "x.log"\n'
        '  shell: "echo $VAULT_TOKEN $PASSED_ALONG $DECLARED | tee {log} | wc -c > {output};'
        ' env; false"\n',
    )
    arguments = ("--modal-secrets", "vault", "--modal-pass-env", "PASSED_ALONG")
    run = bench.run(*arguments, ok=False)
    (sandbox,) = bench.server.sandboxes
    secrets = ("hf_FROM_THE_VAULT", "value_PASSED", "value_DECLARED")
    assert all(secret in str(sandbox.env) for secret in secrets)
    assert bench.read("x.log") == "*** *** ***\n"
    files = [*bench.root.rglob("*"), *bench.server.volume("bench").rglob("*")]
    texts = [run.output, sandbox.stdout, sandbox.stderr, " ".join(sandbox.command)]
    texts += [path.read_text(errors="replace") for path in files if path.is_file()]
    assert any("VAULT_TOKEN=***" in text for text in texts)
    assert not [text for text in texts for secret in secrets if secret in text]
