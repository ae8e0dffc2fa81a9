"""Contrasts across several ledgers, and which of them hold in every one.

    ledger.json, ledger.json, ... -> per contrast: its difference in each, and how often it is found

The interval of a head-to-head covers other documents, examples or latents of the same training run.
For another model, seed or machine the experiment runs there, and the ledgers are compared. A
difference is *found* in a ledger when its verdict there is not inconclusive, that is, when it
survives Holm's correction; it *holds* when every ledger finds it, in the same direction.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from latent_ledger.evaluations.formatting import digits_for, interval, table
from latent_ledger.evaluations.headtohead.plan import NAME
from latent_ledger.evaluations.headtohead.rows import family_of
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json

FOUND, NOT_FOUND = "novel", "inconclusive"
"""Verdicts of a head-to-head; reference values have rows of their own."""


def contrasts(ledger: Path) -> dict[str, dict[str, Any]]:
    """The head-to-heads with a number in one ``ledger.json``, by run id and in its order."""
    try:
        return {
            row["run_id"]: row
            for row in read_json(ledger)["rows"]
            if row["row_type"] == NAME
            and row["label"] in (FOUND, NOT_FOUND)
            and row["metrics"]
            and not row["metrics"][0]["not_made"]
        }
    except (LookupError, TypeError):
        line = f"{ledger} is no ledger: name the ledger.json beside a ledger.md."
        raise LedgerError(line) from None


def outcome(rows: Sequence[Mapping[str, Any] | None]) -> str:
    """Outcome of one contrast over several ledgers; a row is None where a ledger has no number.

    "holds", "opposite" (found in both directions), "in n of m" or "nowhere".
    """
    shown = [row["metrics"][0]["estimate"] for row in rows if row and row["label"] == FOUND]
    directions = [estimate > 0 for estimate in shown]
    if len(set(directions)) > 1:
        return "opposite"
    if directions and len(directions) == len(rows):
        return "holds"
    return f"in {len(directions)} of {len(rows)}" if directions else "nowhere"


def page(ledgers: Sequence[Path]) -> str:
    """A Markdown table of all contrasts in `ledgers`, and how many of them hold."""
    if not 2 <= len(ledgers) <= len(ascii_uppercase):
        raise LedgerError("Name two ledgers or more (at most 26) to compare.")
    sides = [contrasts(path) for path in ledgers]
    letters = ascii_uppercase[: len(ledgers)]
    lines: list[tuple[str, ...]] = []
    outcomes: Counter[str] = Counter()
    for run_id in dict.fromkeys(run_id for side in sides for run_id in side):
        rows = [side.get(run_id) for side in sides]
        example = next(row for row in rows if row)
        result = outcome(rows)
        outcomes["in some" if result.startswith("in ") else result] += 1
        name = example["metrics"][0]["name"]
        lines.append((family_of(example), name, *map(_difference, rows), result))
    if not lines:
        raise LedgerError(f"{ledgers[0]} and the others hold no contrast with a number.")
    header = ("family", "contrast", *letters, "found")
    return "\n".join(
        [
            *(f"{letter}: {path}  " for letter, path in zip(letters, ledgers, strict=True)),
            "(* found: the verdict is not inconclusive)",
            "",
            table(header, lines, right=range(2, 2 + len(ledgers))),
            "",
            f"{len(lines)} contrasts: {outcomes['holds']} hold in every ledger, "
            f"{outcomes['in some']} are found in some of them, {outcomes['opposite']} in opposite "
            f"directions, {outcomes['nowhere']} nowhere.",
        ]
    )


def _difference(row: Mapping[str, Any] | None) -> str:
    """The difference in one ledger, with a star where it was found."""
    if row is None:
        return ""
    metric = row["metrics"][0]
    star = " *" if row["label"] == FOUND else ""
    return interval(metric, signed=True, digits=digits_for(metric)) + star
