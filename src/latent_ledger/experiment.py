"""Whole experiment: its configuration read, merged and checked. Nothing below imports this.

YAML files and overlays --merge--> schema, checks of all evaluations --> references --> dict
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from latent_ledger.config import checks_coders, checks_data, validation
from latent_ledger.config.problems import Problem, needs_sections
from latent_ledger.config.reading import merge, read_yaml
from latent_ledger.config.validation import ConfigError
from latent_ledger.ledger import reference_checks
from latent_ledger.planning.registry import STAGES
from latent_ledger.resources.devices import gpus


@needs_sections("evaluations")
def _registered(config: dict[str, Any]) -> Iterator[Problem]:
    """An evaluation that only has a folder would be asked for and never run."""
    for name in config["evaluations"].keys() - {stage.name for stage in STAGES}:
        yield Problem(("evaluations", name), "has a schema and no line in planning/registry.py")


@needs_sections("hardware")
def _cheapest_first(config: dict[str, Any]) -> Iterator[Problem]:
    """Jobs take the first GPU they fit on: a large one in front would take them all."""
    for index, (first, other) in enumerate(pairwise(config["hardware"]["gpus"]), start=1):
        if gpus()[first].memory_gib > gpus()[other].memory_gib:
            what = f"{other} is smaller than {first} before it, so no job would get it; swap them"
            yield Problem(("hardware", "gpus", index), what)


@needs_sections("hardware")
def _listed(config: dict[str, Any]) -> Iterator[Problem]:
    """The GPU of a rule means nothing where no job has one."""
    if not config["hardware"]["gpus"]:
        what = "hardware.gpus is empty, so that no job has a GPU; list it there"
        yield from (Problem(("hardware", "gpu", name), what) for name in config["hardware"]["gpu"])


CHECKS = (
    _registered,
    *checks_data.CHECKS,
    *checks_coders.CHECKS,
    _cheapest_first,
    _listed,
    *(check for stage in STAGES for check in stage.checks),
)


def load(path: Path, overlays: Iterable[Path | Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Read a configuration file, lay `overlays` over it in order, and validate the result.

    Overlays are YAML files or mappings; mappings are merged key by key, all else is replaced.
    """
    config = read_yaml(path)
    for overlay in overlays:
        config = merge(config, overlay if isinstance(overlay, Mapping) else read_yaml(overlay))
    return validate(config)


def validate(config: Mapping[str, Any]) -> dict[str, Any]:
    """Check a configuration and return a copy with all defaults filled; the input stays as it is.

    References are checked last, because the rows they name follow from the whole configuration.
    Raises :class:`ConfigError` with one line per problem.
    """
    completed = validation.validate(config, CHECKS)
    if problems := list(reference_checks.problems(completed)):
        raise ConfigError(validation.in_order(problems, completed))
    return completed
