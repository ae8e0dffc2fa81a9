"""Ledgers side by side: what holds in all of them, in some, in opposite directions, nowhere."""

from __future__ import annotations

import json

import pytest

from latent_ledger.cli import main
from latent_ledger.ledger.replication import contrasts, outcome, page
from latent_ledger.lib.errors import LedgerError


def row(name: str, estimate: float | None, label: str = "novel") -> dict:
    """A head-to-head as ledger.json has it."""
    made = estimate is not None
    metric = {"name": f"probing.accuracy: {name}", "estimate": estimate, "not_made": None}
    metric |= {"ci": [estimate - 0.1, estimate + 0.1]} if made else {"not_made": "none alike"}
    return {
        "run_id": f"h2h-{name}",
        "row_type": "headtohead",
        "label": label,
        "coder_type": "head-to-head (controls)",
        "metrics": [metric],
    }


@pytest.fixture
def ledgers(tmp_path):
    """Two ledgers: (name, A, B), None for a contrast without a number."""
    declared = {
        "same": (row("same", 0.3), row("same", 0.2)),
        "once": (row("once", 0.3), row("once", 0.05, "inconclusive")),
        "turned": (row("turned", 0.3), row("turned", -0.3)),
        "never": (row("never", 0.0, "inconclusive"), row("never", 0.01, "inconclusive")),
        "alone": (row("alone", -0.5), row("alone", None, "inconclusive")),
    }
    others = [
        {"run_id": "recon", "row_type": "reconstruction", "label": "novel", "metrics": [{}]},
        row("same", 9.0, "superseded"),
        row("lost", None, "failed") | {"metrics": []},
    ]
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for side, path in enumerate(paths):
        rows = [pair[side] for pair in declared.values()] + others
        path.write_text(json.dumps({"experiment": "x", "rows": rows}))
    return paths


def test_contrast_holds_where_every_ledger_finds_it(ledgers):
    sides = [contrasts(path) for path in ledgers]
    assert list(sides[0]) == ["h2h-same", "h2h-once", "h2h-turned", "h2h-never", "h2h-alone"]
    assert sides[0]["h2h-same"]["metrics"][0]["estimate"] == 0.3  # and not the superseded 9.0
    assert "h2h-alone" not in sides[1]
    outcomes = {name: outcome([side.get(name) for side in sides]) for name in sides[0]}
    assert outcomes == {
        "h2h-same": "holds",
        "h2h-once": "in 1 of 2",
        "h2h-turned": "opposite",
        "h2h-never": "nowhere",
        "h2h-alone": "in 1 of 2",
    }


def test_page_lists_every_contrast_and_counts_outcomes(ledgers, capsys):
    assert main(["compare", *map(str, ledgers)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"A: {ledgers[0]}")
    lines = {line.split(" | ")[1]: line for line in printed if line.startswith("| controls")}
    assert lines["probing.accuracy: once"] == (
        "| controls | probing.accuracy: once | +0.300 [+0.200, +0.400] * "
        "| +0.050 [-0.050, +0.150] | in 1 of 2 |"
    )
    assert "|  | in 1 of 2 |" in lines["probing.accuracy: alone"]
    assert printed[-1] == (
        "5 contrasts: 1 hold in every ledger, 2 are found in some of them, "
        "1 in opposite directions, 1 nowhere."
    )


def test_ledgers_that_cannot_be_compared_are_one_line(ledgers, tmp_path, capsys):
    with pytest.raises(LedgerError, match="two ledgers or more"):
        page(ledgers[:1])
    for content in ("[]", '{"rows": [{}]}', '{"rows": 1}'):
        (tmp_path / "list.json").write_text(content)
        assert main(["compare", str(ledgers[0]), str(tmp_path / "list.json")]) == 1
        assert "is no ledger: name the ledger.json" in capsys.readouterr().err
    assert main(["compare", str(ledgers[0]), str(tmp_path)]) == 1
    assert "cannot be read (Is a directory)" in capsys.readouterr().err
    assert main(["compare", str(ledgers[0]), str(tmp_path / "absent.json")]) == 1
    assert "absent.json does not exist" in capsys.readouterr().err
    (tmp_path / "empty.json").write_text('{"rows": []}')
    with pytest.raises(LedgerError, match="no contrast with a number"):
        page([tmp_path / "empty.json"] * 2)
