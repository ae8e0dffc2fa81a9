"""The page docs/add-an-evaluation.md, carried out word for word in a copy of the project."""

import re

import pytest

from tests.project import PROJECT
from tests.workflow.conftest import CORE, MICRO, Checkout, copy_project

pytestmark = pytest.mark.slow

BLOCK = re.compile(r"```(yaml|python|diff)\n(.*?)```", re.DOTALL)
FILE = re.compile(r"`((?:src|rules|workflow)/[\w./]+\.(?:py|yaml|smk))`")


def carry_out(page: str, root) -> None:
    """Write each block to the file that was named last but not yet written; apply the diffs."""
    named = [(match.start(), match[1]) for match in FILE.finditer(page)]
    for block in BLOCK.finditer(page):
        language, text = block.groups()
        before = [name for start, name in named if start < block.start()]
        if language == "diff":
            registry = next(name for name in reversed(before) if name.endswith("registry.py"))
            old = "".join(line[1:] for line in text.splitlines(True) if not line.startswith("+"))
            new = "".join(line[1:] for line in text.splitlines(True))
            content = (root / registry).read_text()
            assert content.count(old) == 1, f"{registry} no longer holds {old!r} once"
            (root / registry).write_text(content.replace(old, new))
            continue
        name = next(name for name in before if not (root / name).exists())
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_the_page_gives_rows_with_numbers_and_a_section(tmp_path):
    root = copy_project(tmp_path / "checkout")
    carry_out((PROJECT / "docs/add-an-evaluation.md").read_text(encoding="utf-8"), root)
    folder = root / "src/latent_ledger/evaluations/usage"
    (folder / "__init__.py").touch()
    overlay = "evaluations: {usage: {}}\n"
    overlay += "comparisons: {families: {usage: {metrics: [usage.used_share], pairs: [[sae-mlp, "
    (root / "usage.yaml").write_text(overlay + "transcoder]]}}}\n")
    checkout = Checkout(root, (MICRO, CORE, "usage.yaml"))
    checkout.snakemake()
    row = checkout.row("usage-sae-mlp-k8-s0")
    assert row["key_results"].endswith("% of latents fire")
    assert 0 < row["metrics"][0]["estimate"] <= 1
    assert checkout.row("h2h-used-share-sae-mlp-vs-transcoder-k8-s0")["key_results"]
    text = (root / "results/ledger.md").read_text()
    assert "## Which share of its latents is used?" in text
