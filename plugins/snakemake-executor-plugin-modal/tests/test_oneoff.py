"""A command in a Sandbox outside the graph."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

SNAKEFILE = """
from snakemake_executor_plugin_modal.oneoff import run_in_sandbox

onerror:
    run_in_sandbox("report", "cat note > report.txt", sends={"note": b"sent\\n"},
                   fetches=["report.txt"])

rule broken:
    output: "x"
    shell: "exit 3"
"""


def test_run_in_sandbox_after_a_failed_run_fetches_its_files(bench):
    bench.file("Snakefile", SNAKEFILE)
    bench.run(ok=False)
    assert bench.read("report.txt") == "sent\n"
    assert [sandbox.status for sandbox in bench.server.sandboxes] == ["FAILURE", "SUCCESS"]
    (attempt,) = bench.root.glob(".snakemake/modal/attempts/report-*.jsonl")
    assert bench.attempts(str(attempt.relative_to(bench.root)))[0]["outcome"] == "done"
