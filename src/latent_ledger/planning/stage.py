"""What a stage of the experiment tells the graph and the ledger.

A stage is one module of this package. It says which manifests a configuration asks for and with
which settings (`jobs`), which rows the ledger must then have (`rows`), how a row is read from its
payload (`readers`), and how its rows are told in one section (`section`). What a stage needs of
the stages before it (captures, codes, token sets) it declares, and the graph makes their union.

A job's settings enter its action key, so they hold what the job needs and nothing else: changing
the bootstrap resamples of one evaluation must not retrain a coder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.config.coder_specs import (
    ORIGINAL,
    CoderSpec,
    base,
    base_block,
    coder_specs,
    coders_measured_by,
)
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.lib.suggestions import nearest
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.models.sources.registry import source_of

__all__ = [
    "Capture",
    "Config",
    "Finding",
    "Jobs",
    "RowPlan",
    "Settings",
    "Stage",
    "coders_measured_by",
]

Config = Mapping[str, Any]
Settings = dict[str, Any]
Jobs = dict[str, tuple[str, Settings]]
"""Manifest path -> (rule, settings)."""
Metric = Mapping[str, Any]


@dataclass(frozen=True)
class RowPlan:
    """One row the ledger must have, whether or not its job succeeded.

    `needs` lists the manifests on the way to it in order; the first one missing or failed is the
    reason when there is no number.
    """

    run_id: str
    row_type: str
    manifest: str
    columns: dict[str, str]
    metric: str | None = None
    needs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Finding:
    """The part of a row that comes from its payload."""

    key_results: str
    main: Metric | None = None
    null: float | None = None
    """Value of the main metric where there is no effect; None where none is defined."""
    notes: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    reference: dict[str, float] | None = None


@dataclass(frozen=True, order=True)
class Capture:
    """One hook point that must be captured over one token set by one model."""

    split: str
    model: str
    hook_point: HookPoint


Reader = Callable[[RowPlan, Payload], Finding]


def _none(_config: Config) -> Any:
    return {}


@dataclass(frozen=True)
class Stage:
    """One stage; see the module's docstring. Everything but the name may be absent."""

    name: str
    jobs: Callable[[Config], Jobs] = _none
    rows: Callable[[Config], Sequence[RowPlan]] = _none
    readers: Mapping[str, Reader] = field(default_factory=dict)
    """Kind of row -> how it is read."""
    section: Callable[[Sequence[Any]], str] | None = None
    """The ledger's current rows -> a Markdown section, empty if no row is this stage's."""
    captures: Callable[[Config], set[Capture]] = _none
    codes: Callable[[Config], set[tuple[str, str]]] = _none
    """(token set, coder) pairs whose codes are read."""
    token_sets: Callable[[Config], dict[str, tuple[str, Settings]]] = _none
    """Token set -> (manifest of its text, settings of the tokens rule)."""


# -- the experiment's objects ---------------------------------------------------------------------


def coder(config: Config, name: str) -> CoderSpec:
    """The coder of this name."""
    return {spec.name: spec for spec in coder_specs(config)}[name]


def without(settings: Mapping[str, Any], *names: str) -> Settings:
    """A copy of `settings` without some keys, such as ``select``, which says who and not how."""
    return {key: value for key, value in settings.items() if key not in names}


def embedded(config: Config) -> bool:
    """True when the language model is trained in the graph."""
    return source_of(config["model"]["source"]).trained


# -- columns of a row -----------------------------------------------------------------------------


PUBLISHED = "as published"
"""Size of a pretrained coder where its file says it and the configuration need not."""


def model_columns(config: Config, model: str = ORIGINAL) -> dict[str, str]:
    """Which model a row is about, and the seed of its training."""
    block = base_block(config, model)
    name = source_of(block["source"]).label(block)
    if model != base(config, model):
        name += f", {model}"
    return {"model": name, "seed": str(block.get("training", {}).get("seed", ""))}


def coder_columns(config: Config, spec: CoderSpec, evaluation: str = "") -> dict[str, str]:
    """Site, kind, width, sparsity and seed of a coder's row."""
    name = spec.architecture if spec.weights == "trained" else f"{spec.weights} {spec.architecture}"
    return {
        **model_columns(config, spec.model),
        "hookpoint": str(spec.site),
        "coder_type": f"eval ({evaluation}, {name})" if evaluation else name,
        **size_columns(spec),
    }


def size_columns(one: CoderSpec) -> dict[str, str]:
    """Width, sparsity and seed of a coder; a pretrained one's are its publisher's."""
    return {
        "width": str(one.width or PUBLISHED),
        "sparsity": PUBLISHED if one.k is None else f"k={one.k}",
        "seed": "" if one.seed is None else str(one.seed),
    }


def dataset(config: Config, split: str) -> str:
    """What a row was measured on, in words."""
    if split == "probing":
        probing = config["evaluations"]["probing"]
        return f"{probing['source']}/occupations ({len(probing['concepts'])} concepts)"
    if split in config["corpus"]["slices"]:
        return f"{config['corpus']['source']}[:{config['corpus']['slices'][split]['documents']}]"
    return f"{config['corpus']['source']}/{split}"


# -- reading payloads -----------------------------------------------------------------------------


def metrics_of(payload: Payload) -> list[dict[str, Any]]:
    """The metric records of a verified payload."""
    return read_json(payload.folder() / "metrics.json")["metrics"]


def by_name(metrics: Sequence[Metric], name: str, run_id: str) -> Metric:
    """The record of this name; a LedgerError names the nearest when there is none."""
    for metric in metrics:
        if metric["name"] == name:
            return metric
    near = nearest(name, [metric["name"] for metric in metrics])
    hint = f"; the nearest is {near!r}" if near else ""
    raise LedgerError(f"{run_id} has no metric {name!r}{hint}.")


def named(metrics: Sequence[Metric]) -> dict[str, Metric]:
    """Metric records by name."""
    return {metric["name"]: metric for metric in metrics}
