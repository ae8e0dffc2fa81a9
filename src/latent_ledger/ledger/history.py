"""History of ledger rows: earlier versions, kept in the store and shown as superseded.

Each run id has a folder of numbered JSON entries. An entry is added when the row's action key or
its verdict differs from the last one. It keeps the row as it was shown, and the ingredients of the
whole closure above it, from which the next version states *what* changed.
"""

from collections.abc import Mapping
from typing import Any

from latent_ledger.artifacts.provenance import describe_change
from latent_ledger.artifacts.store import Store
from latent_ledger.ledger.row import Row
from latent_ledger.lib.files import read_json, write_json

Closure = Mapping[str, Mapping[str, Any]]
"""Path of a manifest -> ingredients of its action key."""


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
        if before and (before[-1]["key"], before[-1]["label"]) == (row.key, row.label):
            return
        entry = {
            "key": row.key,
            "label": row.label,
            "values": row.values,
            "metrics": row.metrics,
            "row_type": row.row_type,
            "closure": row.closure,
        }
        write_json(self.root / row.run_id / f"{len(before):06d}.json", entry)

    def predecessors(self, row: Row) -> list[Row]:
        """Superseded rows of `row`, newest first, each with a line saying what changed after it.

        Entries with the current key are the current row, not a predecessor.
        """
        entries = self.entries(row.run_id)
        now = {"key": row.key, "label": row.label, "closure": row.closure}
        later = [*entries, now][1:]
        rows = []
        for entry, successor in zip(entries, later, strict=True):
            same_as_now = (entry["key"], entry["label"]) == (row.key, row.label)
            if same_as_now or (not row.key and row.label != "failed"):
                continue
            change = self.change_between(entry["closure"], successor["closure"])
            notes = f"Superseded ({entry['label']} before): {change}. {entry['values']['notes']}"
            values = {**entry["values"], "label": "superseded", "notes": notes.strip()}
            rows.append(
                Row(
                    row.run_id,
                    row.row_type,
                    values,
                    entry["metrics"],
                    entry["key"],
                    entry["closure"],
                )
            )
        return rows[::-1]

    def change_between(self, before: Closure, after: Closure) -> str:
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
                change = describe_change(
                    old,
                    new,
                    self.store.functions_of(old["code"]),
                    self.store.functions_of(new["code"]),
                )
                phrases.append(f"{new['rule']}: {change}")
        return "; ".join(dict.fromkeys(phrases)) or "data: the input's content"
