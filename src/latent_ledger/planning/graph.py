"""The whole graph of a configuration: all of its jobs, and all rows of its ledger.

    stages --jobs--> jobs with inputs --makes--> the jobs behind those inputs, and so on upwards
           --rows--> the rows the ledger must have

The inputs of the jobs are the graph. Everything else follows by walking upstream. The rules take
their inputs and params from here, and the ledger the list of jobs that *should* have run. Names of
manifests come from :mod:`latent_ledger.planning.paths`.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from latent_ledger.config.coder_specs import coder_specs
from latent_ledger.lib.errors import LedgerError
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.planning import models
from latent_ledger.planning.registry import STAGES
from latent_ledger.planning.stage import Config, Context, Finding, Jobs, PlannedJob, RowPlan


def context(config: Config) -> Context:
    """The tables that makers of jobs read."""
    coders = {spec.name: spec for spec in coder_specs(config)}
    sets = {
        name: token_set for stage in STAGES for name, token_set in stage.token_sets(config).items()
    }
    return Context(config, coders, sets)


def jobs(config: Config) -> Jobs:
    """Every manifest of the configuration with its job; the inputs of a job come before it."""
    requested: Jobs = {}
    for stage in STAGES:
        requested |= stage.jobs(config)
    makers = {name: make for stage in STAGES for name, make in stage.makes.items()}
    lookups = context(config)
    planned: Jobs = {}

    def plan(name: str) -> None:
        if name in planned:
            return
        job = requested[name] if name in requested else _made(name, makers, lookups)
        for above in job.manifests():
            plan(above)
        planned[name] = job

    for name in requested:
        plan(name)
    return planned


def _made(
    name: str, makers: Mapping[type[str], Callable[[Context, Any], PlannedJob]], lookups: Context
) -> PlannedJob:
    """The job behind a name that another job takes."""
    make = makers.get(type(name))
    if make is None:
        raise LedgerError(f"No stage plans {name}, which another job takes: add it to its `jobs`.")
    return make(lookups, name)


def upstream(planned: Mapping[str, PlannedJob], *names: str) -> list[str]:
    """Every manifest that the given ones rest on, and these themselves: inputs before their job."""
    order: dict[str, None] = {}

    def visit(name: str) -> None:
        if name not in order:
            for above in planned[name].manifests():
                visit(above)
            order[name] = None

    for name in names:
        visit(name)
    return list(order)


def rows(config: Config, planned: Jobs | None = None) -> list[RowPlan]:
    """Every row of the ledger, in reading order: stage by stage."""
    planned = jobs(config) if planned is None else planned
    return [row for stage in STAGES for row in stage.rows(config, planned)]


def manifests_behind(row: RowPlan, planned: Jobs) -> list[str]:
    """Every manifest that a row's number rests on: the closest first, inputs before their job."""
    return upstream(planned, *row.closest, row.manifest)


def capture_groups(planned: Iterable[str]) -> dict[tuple[str, str], list[HookPoint]]:
    """(token set, model) -> its hook points: one forward pass each."""
    groups: dict[tuple[str, str], list[HookPoint]] = {}
    for name in models.captures(planned):
        groups.setdefault((name.token_set, name.model), []).append(name.hook_point)
    return groups


def fingerprint(config: Config, planned: Jobs) -> str:
    """Digest of everything the ledger is planned from; it changes when a row or a job does."""
    planned_rows = [
        [row.run_id, row.row_type, row.manifest, row.columns, row.metric]
        for row in rows(config, planned)
    ]
    graph = {name: [job.rule, job.settings, dict(job.inputs)] for name, job in planned.items()}
    content = [planned_rows, graph, config["ledger"], config.get("references")]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read(row: RowPlan, payload: Any) -> Finding:
    """The content of a row, from its verified payload."""
    readers = {name: reader for stage in STAGES for name, reader in stage.readers.items()}
    return readers[row.row_type](row, payload)


def record_name(name: str, job: PlannedJob) -> str:
    """Run record of the job behind a manifest, below the experiment's ``records/``."""
    return job.record or name
