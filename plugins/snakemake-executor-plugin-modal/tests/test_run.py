"""A whole run of a small workflow: files that go up, come back, or stay on the Volume."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

SNAKEFILE = """
rule all:
    input: "results/total.txt", "results/parts"

rule count:
    input: "data/{name}.txt"
    output: "results/{name}.count"
    log: "logs/{name}.log"
    benchmark: "benchmarks/{name}.tsv"
    threads: 2
    resources: mem_mb=300, runtime=5
    shell: "wc -w < {input} > {output} 2> {log}; echo counted {wildcards.name} >> {log}; "
           "echo threads {threads} mem {resources.mem_mb} >> {log}"

rule total:
    input: expand("results/{name}.count", name=["a", "b"])
    output: "results/total.txt"
    script: "scripts/total.py"

rule parts:
    input: "results/total.txt"
    output: directory("results/parts")
    shell: "mkdir -p {output}/deep; cp {input} {output}/deep/one; touch {output}/two; "
           "echo kept > $STAYS/payload"
"""

TOTAL = """
from pathlib import Path
from shared import add
total = add(int(Path(path).read_text()) for path in snakemake.input)
Path(snakemake.output[0]).write_text(f"{total}\\n")
"""


def test_workflow_runs_and_its_files_come_back(bench):
    bench.file("Snakefile", SNAKEFILE)
    bench.file("scripts/total.py", TOTAL)
    bench.file("library/shared.py", "add = sum\n")
    bench.file("data/a.txt", "one two three\n")
    bench.file("data/b.txt", "four five\n")
    bench.run("--modal-pythonpath", "library", "--modal-env", "STAYS=/volume")
    assert bench.read("results/total.txt") == "5\n"
    assert bench.read("results/parts/deep/one") == "5\n"
    assert (bench.root / "results/parts/two").read_bytes() == b""
    assert bench.read("logs/a.log") == "counted a\nthreads 2 mem 300\n"
    assert bench.read("benchmarks/b.tsv").startswith("s\th:m:s")
    volume = bench.server.volume("bench")
    assert (volume / "payload").read_text() == "kept\n" and not (bench.root / "payload").exists()
    assert not (volume / ".snakemake-modal/jobs").exists() or not any(
        (volume / ".snakemake-modal/jobs").iterdir()
    )
    assert len(bench.server.sandboxes) == 4 and not bench.alive()
    by_threads = {(s.cpu, s.memory, s.timeout) for s in bench.server.sandboxes}
    assert (2.0, 300, 5 * 60 + 90) in by_threads
    (attempt,) = bench.attempts("logs/a.log.attempts.jsonl")
    assert attempt["outcome"] == "done" and attempt["cores"] == 2 and attempt["cost_usd"] > 0
    again = bench.run("--modal-pythonpath", "library", "--modal-env", "STAYS=/volume")
    assert "Nothing to be done" in again.output and len(bench.server.sandboxes) == 4
