"""A configuration is checked whole, before any job starts.

    YAML files and overlays --merge--> schema (closed) --defaults--> checks --> plain dict

Every problem found is one line, ``path: what is wrong and what would be right``, and all of them
are reported at once. The Snakefile calls :func:`validate` on what Snakemake merged;
:func:`load` does the same from files. :func:`instances`, :func:`taps` and :func:`pairs` turn the
result into what the graph is made of.

``python -m latent_ledger.config docs`` writes docs/configuration.md from the schema.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from latent_ledger.config import (
    checks_autointerp,
    checks_circuits,
    checks_coders,
    checks_data,
    checks_edges,
    checks_hardware,
    checks_overview,
    checks_references,
    checks_sae_probes,
    checks_saebench,
    checks_slices,
    checks_steering,
)
from latent_ledger.config.expansion import CoderInstance, chosen, instances, pairs, taps, unfair
from latent_ledger.config.problems import Problem, Where, contradictions, words
from latent_ledger.config.reading import merge, read_yaml
from latent_ledger.config.schema_file import complete, plain, problems, schema
from latent_ledger.errors import LedgerError

__all__ = [
    "CoderInstance",
    "ConfigError",
    "chosen",
    "instances",
    "load",
    "pairs",
    "read_yaml",
    "schema",
    "taps",
    "unfair",
    "validate",
]

CHECKS = (
    checks_data.CHECKS
    + checks_coders.CHECKS
    + checks_autointerp.CHECKS
    + checks_circuits.CHECKS
    + checks_edges.CHECKS
    + checks_hardware.CHECKS
    + checks_overview.CHECKS
    + checks_sae_probes.CHECKS
    + checks_saebench.CHECKS
    + checks_slices.CHECKS
    + checks_steering.CHECKS
)


ABSENT = "absent"
REMOVABLE = (
    (),
    ("coders",),
    ("evaluations",),
    ("comparisons",),
    ("comparisons", "families"),
    ("model", "randomised"),
    ("model", "others"),
    ("references",),
    ("corpus", "slices"),
)
"""Where an overlay may say ``absent`` in the place of an entry."""


class ConfigError(LedgerError):
    """A configuration that cannot be used; ``lines`` holds one line per problem."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = list(lines)
        count = "1 problem" if len(self.lines) == 1 else f"{len(self.lines)} problems"
        super().__init__("\n  ".join([f"The configuration has {count}:", *self.lines]))


def load(path: Path, overlays: Iterable[Path | Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Read a configuration file, lay `overlays` over it in order, and validate the result.

    Overlays are YAML files or mappings; mappings are merged key by key, all else is replaced.
    Raises :class:`LedgerError` as :func:`validate` and :func:`read_yaml` do.
    """
    config = read_yaml(path)
    for overlay in overlays:
        config = merge(config, overlay if isinstance(overlay, Mapping) else read_yaml(overlay))
    return validate(config)


def validate(config: Mapping[str, Any]) -> dict[str, Any]:
    """Check a configuration and return a copy with all defaults filled; the input stays as it is.

    Validating the result again gives an equal result. Local folders are looked up from the
    working directory. Raises :class:`ConfigError` with one line per problem.
    """
    raw = without_absent(plain(config))
    found = problems(raw)
    completed, misplaced = complete(raw)
    broken = {str(problem.path[0]) for problem in found if problem.path}
    broken |= set(schema()["properties"]) - set(completed)
    if "coders" not in broken and (siteless := _complete_sites(completed["coders"])):
        found += siteless
        broken.add("coders")
    found += misplaced + contradictions(CHECKS, completed, broken)
    found += [] if found else checks_references.problems(completed)
    if found:
        order = {path: index for index, path in enumerate(_paths(raw))}
        found.sort(key=lambda problem: _position(problem, order))
        raise ConfigError(dict.fromkeys(str(problem) for problem in found))
    return completed


def without_absent(config: dict[str, Any]) -> dict[str, Any]:
    """Take out the entries that an overlay declares absent: ``coders: {sae-random: absent}``.

    Overlays are merged key by key, so that without this word nothing inherited could be left out.
    """
    for path in REMOVABLE:
        section: Any = config
        for key in path:
            section = section.get(key) if isinstance(section, dict) else None
        if isinstance(section, dict):
            for name in [name for name, entry in section.items() if entry == ABSENT]:
                del section[name]
    return config


def _complete_sites(coders: dict[str, dict[str, Any]]) -> list[Problem]:
    """Fill the points that follow from a coder's kind, which no default in a schema can say.

    Returns the sites that stay open: an autoencoder may stand anywhere, so it has to say where.
    """
    found = []
    for name, coder in coders.items():
        if coder["kind"] != "sae":
            coder.setdefault("reads", "mlp_in")
            coder.setdefault("writes", "mlp_out")
        elif "reads" in coder:
            coder.setdefault("writes", coder["reads"])
        else:
            what = f"missing; an sae names one of {words(checks_coders.DEPTH)}"
            found.append(Problem(("coders", name, "reads"), what))
    return found


def _paths(value: Any, path: Where = ()) -> Iterable[Where]:
    """Every path of a configuration, in the order in which it is written."""
    yield path
    children = ()
    if isinstance(value, Mapping):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    for key, below in children:
        yield from _paths(below, (*path, key))


def _position(problem: Problem, order: Mapping[Where, int]) -> int:
    """Where a problem belongs in the order of the file: at its path, or the nearest one above."""
    path = problem.path
    while path not in order:
        path = path[:-1]
    return order[path]


def main(arguments: list[str]) -> int:
    """Command line: ``docs`` writes the reference page, ``check <file>...`` validates files."""
    from latent_ledger.config.docs import PAGE, describe
    from latent_ledger.files import write_text

    match arguments:
        case ["docs"]:
            write_text(PAGE, describe(schema()))
            print(f"{PAGE} is written")
        case ["check", first, *rest]:
            try:
                load(Path(first), [Path(file) for file in rest])
            except LedgerError as error:
                print(error, file=sys.stderr)
                return 1
            print(f"{' + '.join([first, *rest])}: nothing wrong")
        case _:
            print("usage: python -m latent_ledger.config docs | check <file> [<overlay>...]")
            return 2
    return 0
