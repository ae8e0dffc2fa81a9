"""Stage of an experiment: the description that checks, graph, rules, estimates and ledger read.

    checks       what is wrong with its part of a configuration
    token_sets   the token sets that it adds
    jobs         the jobs of a configuration, with settings and inputs
    makes        the jobs behind names that other jobs take as inputs
    costs        the cost of its jobs, by rule
    rows         the rows that the ledger must then have
    readers      the content of a row, from its payload
    section      its rows, as the ledger shows them

`name` and `costs` are required: a stage may add nothing else. An evaluation is a stage that
measures coders. It also declares its token set and its gates. These two plan nothing, because the
inputs of its jobs do: tests/planning/test_graph.py compares the declaration with the plan, so that
a gate cannot fall out of a plan in silence.

The graph is stated once, by the inputs of the jobs. Captures, codes, tokens and gates follow from
them, and so do the manifests behind a row, its cost and the reason of a failure.

A job's settings enter its action key, so they hold what the job needs and nothing else: changing
the bootstrap resamples of one evaluation must not retrain a coder.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from latent_ledger.artifacts.provenance import named_inputs
from latent_ledger.artifacts.store import Payload
from latent_ledger.config.coder_specs import (
    ORIGINAL,
    CoderSpec,
    base,
    base_block,
    coder_specs,
)
from latent_ledger.config.problems import Check
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.lib.suggestions import nearest
from latent_ledger.models.sources.registry import source_of
from latent_ledger.resources.work import Cost

Config = Mapping[str, Any]
Settings = dict[str, Any]
Metric = Mapping[str, Any]
Inputs = Mapping[str, str | Sequence[str]]
"""Name that a job knows an input by -> its manifest, or several."""


@dataclass(frozen=True)
class PlannedJob:
    """The job behind one manifest; a job with several outputs stands behind each of them.

    `inputs` is the only statement of a job's inputs. Estimates are made from `token_set`, `model`
    and `coders`. `record` names the run record where several manifests share one job.
    """

    rule: str
    settings: Settings
    inputs: Inputs = field(default_factory=dict)
    token_set: str = ""
    model: str = ORIGINAL
    coders: tuple[CoderSpec, ...] = ()
    record: str = ""

    def named_inputs(self) -> dict[str, str]:
        """Name -> manifest of every input, as its action key names them."""
        return named_inputs(self.inputs)

    def manifests(self) -> Iterable[str]:
        """Every manifest among its inputs, in order."""
        return self.named_inputs().values()


Jobs = dict[str, PlannedJob]
"""Manifest -> the job that makes it."""


@dataclass(frozen=True)
class TokenSet:
    """A token set's text, the settings of its tokens, and the most tokens it can have."""

    text: str
    settings: Settings
    size: float


@dataclass(frozen=True)
class Context:
    """Tables for makers of jobs: the configuration, its coders, its token sets."""

    config: Config
    coders: Mapping[str, CoderSpec]
    token_sets: Mapping[str, TokenSet]


@dataclass(frozen=True)
class RowPlan:
    """One row the ledger must have, whether or not its job succeeded.

    Its number rests on `manifest` and on everything upstream of it. `closest` lists manifests among
    these that are looked at first when the number is missing: a comparison's own evaluations come
    before those of its family.
    """

    run_id: str
    row_type: str
    manifest: str
    columns: dict[str, str]
    metric: str | None = None
    closest: tuple[str, ...] = ()


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


Reader = Callable[[RowPlan, Payload], Finding]
Maker = Callable[[Context, Any], PlannedJob]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage; see the module's docstring."""

    name: str
    costs: Mapping[str, Cost]
    """Rule -> cost of its jobs. Every rule of the graph belongs to one stage."""
    jobs: Callable[[Config], Jobs] = lambda config: {}
    checks: tuple[Check, ...] = ()
    """Checks of its part of a configuration."""
    makes: Mapping[type[str], Maker] = field(default_factory=dict)
    """Class of a manifest's name -> how its job is planned when another job takes it."""
    rows: Callable[[Config, Jobs], Sequence[RowPlan]] = lambda config, jobs: ()
    """The configuration and all jobs -> rows."""
    readers: Mapping[str, Reader] = field(default_factory=dict)
    """Type of a row -> how it is read."""
    undecided: frozenset[str] = frozenset()
    """Types of rows whose findings have no main metric."""
    section: Callable[[Sequence[Any]], str] | None = None
    """The ledger's current rows -> a Markdown section, empty if no row is this stage's."""
    token_sets: Callable[[Config], dict[str, TokenSet]] = lambda config: {}
    """The token sets that the stage adds, by name."""


@dataclass(frozen=True, kw_only=True)
class Evaluation(Stage):
    """A stage that measures coders, with what a test compares with its plan; both are required."""

    token_set: str | None
    """Token set of its jobs; others may measure beside it. None: its jobs take no token set."""
    gates: tuple[type[str], ...]
    """Classes of the gates in front of its jobs, beside the gate of all codes; may be empty."""


# -- the experiment's objects ---------------------------------------------------------------------


def coder(config: Config, name: str) -> CoderSpec:
    """The coder of this name."""
    return {spec.name: spec for spec in coder_specs(config)}[name]


def without(settings: Mapping[str, Any], *names: str) -> Settings:
    """A copy of `settings` without some keys, such as ``select``, which changes no measurement."""
    return {key: value for key, value in settings.items() if key not in names}


def embedded(config: Config) -> bool:
    """True when the language model is trained in the graph."""
    return source_of(config["model"]["source"]).trained


# -- columns of a row -----------------------------------------------------------------------------


PUBLISHED = "as published"
"""Size of a pretrained coder that its file states and the configuration may omit."""


def model_columns(config: Config, model: str = ORIGINAL) -> dict[str, str]:
    """Which model a row is about, and the seed of its training."""
    block = base_block(config, model)
    name = source_of(block["source"]).label(block)
    if model != base(config, model):
        name += f", {model}"
    return {"model": name, "seed": str(block.get("training", {}).get("seed", ""))}


def coder_columns(config: Config, spec: CoderSpec, evaluation: str = "") -> dict[str, str]:
    """Site, architecture, width, sparsity and seed of a coder's row."""
    name = architecture_and_weights(spec)
    return {
        **model_columns(config, spec.model),
        "hookpoint": str(spec.site),
        "coder_type": f"eval ({evaluation}, {name})" if evaluation else name,
        **size_columns(spec),
    }


def architecture_and_weights(spec: CoderSpec) -> str:
    """A coder's architecture, after its weights if not all of them are learnt.

    A coder of a re-randomised model may have trained weights: the column of the model says which.
    """
    return spec.architecture if spec.weights == "trained" else f"{spec.weights} {spec.architecture}"


def each(values: Iterable[str], separator: str) -> str:
    """A column of several coders: their different values, in order."""
    return separator.join(dict.fromkeys(values))


def size_columns(spec: CoderSpec) -> dict[str, str]:
    """Width, sparsity and seed of a coder; a pretrained one's are its publisher's."""
    return {
        "width": str(spec.width or PUBLISHED),
        "sparsity": PUBLISHED if spec.k is None else f"k={spec.k}",
        "seed": "" if spec.seed is None else str(spec.seed),
    }


def dataset(config: Config, token_set: str) -> str:
    """The text a row was measured on, as the ledger shows it."""
    if token_set == "probing":
        probing = config["evaluations"]["probing"]
        return f"{probing['source']}/occupations ({len(probing['concepts'])} concepts)"
    if token_set in config["corpus"]["slices"]:
        return (
            f"{config['corpus']['source']}[:{config['corpus']['slices'][token_set]['documents']}]"
        )
    return f"{config['corpus']['source']}/{token_set}"


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
