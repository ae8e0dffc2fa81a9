"""The ledger: one row per run id, from metrics and run records alone.

For every row the configuration plans (:func:`plan.rows`):

1. find its manifest; if there is none, the first missing or failed job on the way is the reason;
2. check that manifest and everything above it was made by the current code, settings, environment
   and inputs; if not, the row says *stale* and shows no number;
3. read metrics from the verified payload, compute the verdict;
4. compare with the row's history in the store: an older record under another key becomes a
   ``superseded`` row that says what changed.

:mod:`latent_ledger.ledger.report` turns the rows into Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latent_ledger.artifacts import cloud_attempts
from latent_ledger.artifacts.staleness import why_stale
from latent_ledger.artifacts.store import Manifest, Store
from latent_ledger.evaluations.overview import plan as overview
from latent_ledger.ledger import references, report
from latent_ledger.ledger.history import History
from latent_ledger.ledger.verdicts import Reference, verdict
from latent_ledger.lib.errors import CorruptPayload, LedgerError
from latent_ledger.lib.files import read_json, write_bytes, write_json, write_text
from latent_ledger.planning import graph

COLUMNS = (
    "run_id",
    "date",
    "config_hash",
    "git_commit",
    "model",
    "hookpoint",
    "coder_type",
    "width",
    "sparsity",
    "dataset",
    "tokens",
    "seed",
    "hardware",
    "wall_clock",
    "cost",
    "key_results",
    "label",
    "notes",
)
"""The 18 columns, in the order of the reference ledger."""

RUN_COLUMNS = ("date", "git_commit", "hardware", "wall_clock", "cost")
"""Columns that describe the run, not the result: a recomputation may change these alone."""


@dataclass
class Row:
    """One line of the ledger; `values` holds the 18 columns, the rest is for machines."""

    run_id: str
    row_type: str
    values: dict[str, str]
    metrics: list[dict[str, Any]] = field(default_factory=list)
    key: str = ""
    closure: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Ingredients of every manifest the number rests on, by path; empty without a number."""

    facts: dict[str, Any] = field(default_factory=dict)
    """What the producer reported beside its metrics; some sections are made of it."""

    main: Mapping[str, Any] | None = None
    """The metric that decides the verdict; None without a number, or where none decides."""

    @property
    def label(self) -> str:
        """The verdict."""
        return self.values["label"]


class Ledger:
    """Collects rows for one configuration from ``results/`` and the store."""

    def __init__(
        self,
        config: Mapping[str, Any],
        store: Store,
        code_digest: Callable[[str], str],
        env: Callable[[Mapping[str, Any]], str],
        root: Path = Path(),
    ) -> None:
        self.config, self.store, self.root = config, store, root
        self.code_digest, self.env = code_digest, env
        self.jobs = graph.jobs(config)
        self.references = config.get("references") or {}
        self.history = History(store, config["experiment"])
        self._reasons: dict[str, str | None] = {}
        self._paths = self._manifest_paths()

    # -- is a manifest there, and is it current? ------------------------------------------------

    def _manifest_paths(self) -> dict[str, list[str]]:
        """Digest -> paths of the manifests in results/ with that content."""
        found: dict[str, list[str]] = {}
        for path in self.jobs:
            manifest = self._manifest(path)
            if manifest is not None:
                found.setdefault(manifest.digest, []).append(path)
        return found

    def _manifest(self, path: str) -> Manifest | None:
        """The manifest at `path`, None when it is absent or unreadable (its row will say so)."""
        try:
            return Manifest.read(self.root / path)
        except LedgerError:
            return None

    def reason_against(self, path: str) -> str | None:
        """Why the manifest at `path` must not be shown as current; None if it may.

        Checks its own ingredients and, by the digests of its inputs, everything above it.
        """
        if path in self._reasons:
            return self._reasons[path]
        self._reasons[path] = None  # the graph has no cycles; this only guards a broken one
        self._reasons[path] = self._judge(path)
        return self._reasons[path]

    def _judge(self, path: str) -> str | None:
        manifest = self._manifest(path)
        if manifest is None:
            return f"{path} is missing or unreadable"
        rule, settings = self.jobs[path]
        stale = why_stale(manifest, rule, settings, self.code_digest(rule), self.env(settings))
        if stale:
            return f"the {stale} of {path} changed since it was made"
        for name, digest in manifest.made_by["inputs"].items():
            above = self._paths.get(digest)
            if above is None:
                return f"{path} was made from another version of its input {name!r}"
            reasons = [self.reason_against(candidate) for candidate in above]
            if all(reasons):
                return reasons[0]
        return None

    # -- rows -----------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """References and planned rows, each followed by its superseded predecessors."""
        found: list[Row] = []
        planned = [self.row(row_plan) for row_plan in graph.rows(self.config)]
        for row in references.apply(self.references, planned, make_row):
            found.append(row)
            found += self.history.predecessors(row, Row)
            if row.run_id in self.references:
                found += references.earlier(row.run_id, self.references[row.run_id], make_row)
        return found

    def row(self, row_plan: graph.RowPlan) -> Row:
        """One row: a number that earned its place, or the reason why there is none."""
        reason = self._failure(row_plan)
        if reason:
            return self._without_number(row_plan, "failed", reason)
        stale = self.reason_against(row_plan.manifest)
        if stale:
            return self._without_number(row_plan, "stale", stale)
        try:
            payload = self.store.open(self.root / row_plan.manifest)
            found = graph.read(row_plan, payload)
        except CorruptPayload as error:
            return self._without_number(row_plan, "failed", str(error))
        reference = found.reference
        label = verdict(
            found.main,
            null=found.null,
            alpha=self.config["ledger"]["alpha"],
            reference=Reference(reference["value"], reference["tolerance"]) if reference else None,
        )
        record = self._record(row_plan.manifest)
        notes = found.notes
        if reference:
            said = f"Reference {reference['value']:g} ± {reference['tolerance']:g}."
            notes = f"{notes} {said}".strip()
        if record.get("nondeterminism"):
            notes = f"{notes} Nondeterminism: {record['nondeterminism']}.".strip()
        values = {
            **row_plan.columns,
            **found.columns,
            **run_columns(record),
            "config_hash": payload.manifest.key[:12],
            "key_results": found.key_results,
            "label": label,
            "notes": notes,
        }
        return Row(
            row_plan.run_id,
            row_plan.row_type,
            complete(row_plan.run_id, values),
            metrics=found.metrics,
            facts=payload.facts,
            main=found.main,
            key=payload.manifest.key,
            closure=self.closure(row_plan.manifest),
        )

    def _without_number(self, row_plan: graph.RowPlan, label: str, reason: str) -> Row:
        record = self._record(row_plan.manifest)
        values = {**row_plan.columns, **run_columns(record), "label": label, "notes": reason}
        return Row(row_plan.run_id, row_plan.row_type, complete(row_plan.run_id, values))

    def _failure(self, row_plan: graph.RowPlan) -> str | None:
        """Why there is no number: the first failed job on the way, or a missing manifest."""
        for path in row_plan.needs:
            record = {} if (self.root / path).exists() else self._record(path)
            if record.get("status") == "failed":
                blocked = path != row_plan.manifest
                return (f"not run, because {path} failed: " if blocked else "") + record["reason"]
        missing = [path for path in row_plan.needs if not (self.root / path).exists()]
        if row_plan.manifest in missing:
            return f"not run: {missing[0]} is missing, and its job left no record"
        return None

    def _record(self, manifest_path: str) -> dict[str, Any]:
        """Run record of the job behind a manifest, with its attempts; empty if it left none."""
        path = self.root / "results/records" / graph.record_name(manifest_path)
        # Snakemake makes an empty log before a remote job starts: one that died left it so.
        record = read_json(path) if path.exists() and path.stat().st_size else {}
        told = cloud_attempts.read(path)
        if not (self.root / manifest_path).exists():
            record = cloud_attempts.failure(record, told) or record
        if record and told:
            record = {**record, "cost_usd": cloud_attempts.cost(record, told)}
        return record

    def put_figures(self, rows: list[Row]) -> None:
        """Copy the overview's figures beside the ledger; a figure that no row backs is removed."""
        shown = any(row.row_type == "pareto" and row.facts for row in rows)
        payload = self.store.open(self.root / overview.PATH).folder() if shown else None
        for name in overview.FIGURES:
            target = self.root / "results/figures" / name
            if payload is None:
                target.unlink(missing_ok=True)
            else:
                write_bytes(target, (payload / name).read_bytes())

    def closure(self, path: str) -> dict[str, dict[str, Any]]:
        """Ingredients of the manifest at `path` and of everything above it, by path."""
        found: dict[str, dict[str, Any]] = {}
        todo = [path]
        while todo:
            current = todo.pop()
            if current in found:
                continue
            manifest = self._manifest(current)
            made_by = manifest.made_by if manifest else {"inputs": {}}
            found[current] = made_by
            for digest in made_by["inputs"].values():
                todo += self._paths.get(digest, [])[:1]
        return found


def run_columns(record: Mapping[str, Any]) -> dict[str, str]:
    """The columns that come from a run record (:data:`RUN_COLUMNS`); empty without one."""
    if not record:
        return {}
    threads = record["threads"]
    return {
        "date": record["started"][:10],
        "git_commit": record["git_commit"],
        "hardware": f"{record['device']}, {threads} thread{'s' if threads > 1 else ''}",
        "wall_clock": f"{record['seconds']:.1f} s",
        "cost": _dollars(record["cost_usd"]),
    }


def _dollars(cost: float) -> str:
    """A cost as people write it; what is less than a cent is not nothing."""
    return "under $0.01" if 0 < cost < 0.005 else f"${cost:.2f}"


def complete(run_id: str, values: Mapping[str, str]) -> dict[str, str]:
    """All 18 columns in order; what is not known stays empty."""
    return {name: str({**values, "run_id": run_id}.get(name, "")) for name in COLUMNS}


def make_row(run_id: str, row_type: str, values: Mapping[str, str]) -> Row:
    """A row from what is known of its columns."""
    return Row(run_id, row_type, complete(run_id, values))


def write_ledger(
    config: Mapping[str, Any],
    store: Store,
    code_digest: Callable[[str], str],
    env: Callable[[Mapping[str, Any]], str],
    root: Path = Path(),
) -> list[Row]:
    """Write ``results/ledger.md`` and ``results/ledger.json``, and remember the rows."""
    ledger = Ledger(config, store, code_digest, env, root)
    rows = ledger.rows()
    ledger.put_figures(rows)
    write_text(root / "results/ledger.md", report.markdown(config, rows))
    write_json(
        root / "results/ledger.json",
        {"experiment": config["experiment"], "rows": [as_json(row) for row in rows]},
    )
    for row in rows:
        if row.label != "superseded":
            ledger.history.remember(row)
    return rows


def as_json(row: Row) -> dict[str, Any]:
    """A row for ``ledger.json``: its columns, its metrics, its facts and its key."""
    shown = {"metrics": row.metrics, "facts": row.facts}
    return {"row_type": row.row_type, "key": row.key, **row.values, **shown}
