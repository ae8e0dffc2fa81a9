"""Ledger: one row per run id, from metrics and run records alone.

For every row the configuration plans (:func:`latent_ledger.planning.graph.rows`):

1. find its manifest; if there is none, the first missing or failed job upstream is the reason;
2. check that manifest and everything above it was made by the current code, settings, environment
   and inputs; if not, the row is *stale* and shows no number;
3. read metrics from the verified payload, compute the verdict;
4. compare with the row's history in the store: an older record under another key becomes a
   ``superseded`` row that states what changed.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from latent_ledger.artifacts import cloud_attempts
from latent_ledger.artifacts.provenance import Project
from latent_ledger.artifacts.staleness import why_stale
from latent_ledger.artifacts.store import Manifest, Store
from latent_ledger.evaluations.overview import plan as overview
from latent_ledger.ledger import references, report
from latent_ledger.ledger.history import History
from latent_ledger.ledger.row import Row, as_json, make_row, run_columns
from latent_ledger.ledger.verdicts import verdict
from latent_ledger.lib.errors import CorruptPayload, LedgerError
from latent_ledger.lib.files import read_json, sha256_file, write_bytes, write_json, write_text
from latent_ledger.planning import graph, paths
from latent_ledger.planning.stage import Jobs


class Ledger:
    """Rows of one configuration, collected from ``results/`` and the store, and their files."""

    def __init__(
        self, config: Mapping[str, Any], store: Store, project: Project, root: Path = Path()
    ) -> None:
        self.config, self.store, self.project, self.root = config, store, project, root
        self.jobs = graph.jobs(config)
        self.placed = partial(paths.placed, experiment=config["experiment"])
        self.references = config.get("references") or {}
        self.history = History(store, config["experiment"])
        self._reasons: dict[str, str | None] = {}

    # -- manifests: present and current ---------------------------------------------------------

    def path(self, name: str) -> Path:
        """Where the manifest of this name lies."""
        return self.root / self.placed(name)

    def stale_reason(self, name: str) -> str | None:
        """Why this manifest, or one above it, must not be shown as current; None if it may."""
        if name not in self._reasons:
            self._reasons[name] = self._judge(name)
        return self._reasons[name]

    def _judge(self, name: str) -> str | None:
        manifest, placed = Manifest.read_if_readable(self.path(name)), self.placed(name)
        if manifest is None:
            return f"{placed} is missing or unreadable"
        job = self.jobs[name]
        if stale := why_stale(manifest, job.rule, job.settings, self.project):
            return f"the {stale} of {placed} changed since it was made"
        made_from, inputs = manifest.made_by["inputs"], job.named_inputs()
        for key in made_from | inputs:
            if key not in inputs:
                return f"{placed} was made from {key!r}, no longer an input of it"
            above = Manifest.read_if_readable(self.path(inputs[key]))
            if above is None:
                return f"{self.placed(inputs[key])} is missing or unreadable"
            if made_from.get(key) != above.digest:
                return f"{placed} was made from another version of its input {key!r}"
            if reason := self.stale_reason(inputs[key]):
                return reason
        return None

    # -- rows -----------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """References and planned rows, each followed by its superseded predecessors."""
        rows: list[Row] = []
        planned = [self.row(row_plan) for row_plan in graph.rows(self.config, self.jobs)]
        for row in references.apply(self.references, planned):
            rows.append(row)
            rows += self.history.predecessors(row)
            if row.run_id in self.references:
                rows += references.earlier(row.run_id, self.references[row.run_id])
        return rows

    def row(self, row_plan: graph.RowPlan) -> Row:
        """One row: a number that earned its place, or the reason why there is none."""
        if reason := self._failure(row_plan):
            return self._without_number(row_plan, "failed", reason)
        if reason := self.stale_reason(row_plan.manifest):
            return self._without_number(row_plan, "stale", reason)
        try:
            payload = self.store.open(self.path(row_plan.manifest))
            finding = graph.read(row_plan, payload)
        except CorruptPayload as error:
            return self._without_number(row_plan, "failed", str(error))
        reference, alpha = finding.reference, self.config["ledger"]["alpha"]
        record = self._record(row_plan.manifest)
        notes = [finding.notes]
        if reference:
            notes.append(f"Reference {reference['value']:g} ± {reference['tolerance']:g}.")
        if record.get("nondeterminism"):
            notes.append(f"Nondeterminism: {record['nondeterminism']}.")
        values = {
            **row_plan.columns,
            **finding.columns,
            **run_columns(record),
            "config_hash": payload.manifest.key[:12],
            "key_results": finding.key_results,
            "label": verdict(finding.main, null=finding.null, alpha=alpha, reference=reference),
            "notes": " ".join(filter(None, notes)),
        }
        upstream = graph.upstream(self.jobs, row_plan.manifest)
        return make_row(
            row_plan.run_id,
            row_plan.row_type,
            values,
            metrics=finding.metrics,
            facts=payload.facts,
            main=finding.main,
            key=payload.manifest.key,
            closure={name: Manifest.read(self.path(name)).made_by for name in upstream},
            alpha=alpha,
        )

    def _without_number(self, row_plan: graph.RowPlan, label: str, reason: str) -> Row:
        record = self._record(row_plan.manifest)
        values = {**row_plan.columns, **run_columns(record), "label": label, "notes": reason}
        return make_row(row_plan.run_id, row_plan.row_type, values)

    def _failure(self, row_plan: graph.RowPlan) -> str | None:
        """Why there is no number: the first failed job upstream, or a missing manifest."""
        manifests = graph.manifests_behind(row_plan, self.jobs)
        missing = [name for name in manifests if not self.path(name).exists()]
        for name in missing:
            record = self._record(name)
            if record.get("status") == "failed":
                blocked = name != row_plan.manifest
                before = f"not run, because {self.placed(name)} failed: " if blocked else ""
                return before + record["reason"]
        if row_plan.manifest in missing:
            return f"not run: {self.placed(missing[0])} is missing, and its job left no record"
        return None

    def _record(self, name: str) -> dict[str, Any]:
        """Run record of the job behind a manifest, with its attempts; empty if it left none."""
        path = self.path(f"records/{graph.record_name(name, self.jobs[name])}")
        # Snakemake makes an empty log before a remote job starts: one that died left it so.
        record = read_json(path) if path.exists() and path.stat().st_size else {}
        attempts = cloud_attempts.read(path)
        if not self.path(name).exists():
            record = cloud_attempts.failure(record, attempts) or record
        if record and attempts:
            record = {**record, "cost_usd": cloud_attempts.cost(record, attempts)}
        return record

    # -- files ----------------------------------------------------------------------------------

    def write(self, finished: bool = True) -> list[Row]:
        """Write ``results/ledger.md`` and ``results/ledger.json``, and remember the rows.

        The ledger of an unfinished run has no fingerprint, so that the next run renders it again.
        """
        rows = self.rows()
        self._put_figures(rows)
        page, rows_file = (self.root / path for path in paths.LEDGER)
        write_text(page, report.markdown(self.config, rows))
        shown = [paths.LEDGER[0], *(f"{paths.FIGURES}/{name}" for name in sorted(overview.FIGURES))]
        files = {name: self.root / name for name in shown if (self.root / name).exists()}
        content = {
            "experiment": self.config["experiment"],
            "plan": graph.fingerprint(self.config, self.jobs) if finished else None,
            "files": {name: sha256_file(path) for name, path in files.items()},
            "rows": [as_json(row) for row in rows],
        }
        write_json(rows_file, content)
        for row in rows:
            if row.label != "superseded":
                self.history.append(row)
        return rows

    def _put_figures(self, rows: list[Row]) -> None:
        """Copy the overview's figures beside the ledger; a figure that no row backs is removed."""
        shown = any(row.row_type == "pareto" and row.facts for row in rows)
        payload = self.store.open(self.path(overview.PATH)).folder() if shown else None
        folder = self.root / paths.FIGURES
        folder.mkdir(parents=True, exist_ok=True)
        for name in overview.FIGURES:
            if payload is None:
                (folder / name).unlink(missing_ok=True)
            else:
                write_bytes(folder / name, (payload / name).read_bytes())


def why_outdated(config: Mapping[str, Any], jobs: Jobs, root: Path = Path()) -> str | None:
    """Why the ledger in ``results/`` is not that of this configuration; None if it is, or is none.

    Its content decides, not its time: it may be of another experiment, of other settings, copied
    without its manifests, written by hand, or rendered after a run that failed.
    """
    if not any((root / path).exists() for path in paths.LEDGER):
        return None
    try:
        content = read_json(root / paths.LEDGER[1])
    except LedgerError:
        return "it has no readable ledger.json beside it"
    if not isinstance(content, dict) or content.get("experiment") != config["experiment"]:
        return "it is the ledger of another experiment"
    if content.get("plan") is None:
        return "it was rendered after a run that failed"
    if content["plan"] != graph.fingerprint(config, jobs):
        return "it was made from another configuration"
    for name, digest in (content.get("files") or {paths.LEDGER[0]: ""}).items():
        if not (root / name).is_file() or sha256_file(root / name) != digest:
            return f"{name} is not the file that was written with ledger.json"
    if not (root / paths.FIGURES).is_dir():
        return f"{paths.FIGURES}/ is not there"
    folder = root / paths.folder(config["experiment"])
    missing = [name for name in jobs if not (folder / name).exists()]
    return f"{len(missing)} of its manifests are missing ({missing[0]})" if missing else None
