"""History of ledger rows: earlier versions, kept in the store and shown as superseded.

Each run id has a folder of numbered JSON entries. An entry is added when the row's action key or
its verdict differs from the last one. It keeps the row as it was shown, and the ingredients of the
whole closure above it, from which the next version states *what* changed.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from latent_ledger.artifacts.provenance import describe_change
from latent_ledger.artifacts.store import Store
from latent_ledger.ledger.row import Row
from latent_ledger.lib.files import read_json, write_json

Closure = dict[str, dict[str, Any]]
"""Path of a manifest -> ingredients of its action key."""

ENTRY = ("key", "label", "values", "metrics", "row_type", "closure")
"""Fields of a row that an entry keeps."""


class History:
    """Earlier rows of one experiment, kept in the store so that ``rm -rf results`` loses none."""

    def __init__(self, store: Store, experiment: str) -> None:
        self.store, self.root = store, store.root / "history" / experiment

    def entries(self, run_id: str) -> list[dict[str, Any]]:
        """Entries of a run id, oldest first."""
        return [read_json(path) for path in sorted((self.root / run_id).glob("*.json"))]

    def append(self, row: Row) -> None:
        """Append `row` unless the last entry has the same key and the same verdict.

        A stale row, or one blocked by another job's failure, is no result and is left out. A failed
        row is kept, because its reason explains the gap.
        """
        if row.label == "stale" or row.values["notes"].startswith("not run"):
            return
        before = self.entries(row.run_id)
        if before and _same(before[-1], row):
            return
        entry = {name: getattr(row, name) for name in ENTRY}
        write_json(self.root / row.run_id / f"{len(before):06d}.json", entry)

    def predecessors(self, row: Row) -> list[Row]:
        """Superseded rows of `row`, newest first, each with a line saying what changed after it."""
        if not row.key and row.label != "failed":
            return []
        entries = self.entries(row.run_id)
        closures = [entry["closure"] for entry in entries] + [row.closure]
        rows = []
        for entry, (before, after) in zip(entries, pairwise(closures), strict=True):
            if _same(entry, row):
                continue
            change = self._change_between(before, after)
            notes = f"Superseded ({entry['label']} before): {change}. {entry['values']['notes']}"
            values = {**entry["values"], "label": "superseded", "notes": notes.strip()}
            rows.append(
                Row(row.run_id, row.row_type, values, entry["metrics"], entry["key"], before)
            )
        return rows[::-1]

    def _change_between(self, before: Closure, after: Closure) -> str:
        """One line: which code, settings or data changed between two closures."""
        if not before or not after:
            return "a failure lies between" if before or after else "failed again"
        phrases = []
        for path in sorted({*before, *after}):
            if path not in before or path not in after:
                phrases.append(f"{'added' if path in after else 'dropped'} {path}")
                continue
            old, new = dict(before[path]), dict(after[path])
            # A changed input is explained by the input's own entry, further up the closure.
            old["inputs"] = new["inputs"] = {}
            if old != new:
                functions = [self.store.functions_of(made_by["code"]) for made_by in (old, new)]
                phrases.append(f"{new['rule']}: {describe_change(old, new, *functions)}")
        return "; ".join(dict.fromkeys(phrases)) or "data: the input's content"


def _same(entry: Mapping[str, Any], row: Row) -> bool:
    return (entry["key"], entry["label"]) == (row.key, row.label)
