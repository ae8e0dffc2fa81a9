"""Validation of a configuration, whole, before any job starts.

    merged YAML --> schema (closed) --defaults--> checks --> plain dict

Every problem is one line, ``path: what is wrong and what would be right``, and all problems are
reported at once. :mod:`latent_ledger.experiment` gives the checks of all evaluations.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from latent_ledger.coders.training.architectures.registry import ARCHITECTURES
from latent_ledger.config.problems import Check, Problem, Where
from latent_ledger.config.renamed import places, with_new_names
from latent_ledger.config.schema_file import complete, plain, problems, schema
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.suggestions import comma_list
from latent_ledger.models.hook_points import HookPointName

ABSENT = "absent"
REMOVABLE: tuple[tuple[str, ...], ...] = (
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
"""Sections in which an overlay may write ``absent`` in the place of an entry."""


class ConfigError(LedgerError):
    """A configuration with problems; ``lines`` holds one line for each."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = list(lines)
        count = "1 problem" if len(self.lines) == 1 else f"{len(self.lines)} problems"
        super().__init__("\n  ".join([f"The configuration has {count}:", *self.lines]))


def validate(config: Mapping[str, Any], checks: Iterable[Check]) -> dict[str, Any]:
    """Check a configuration and return a copy with all defaults filled; the input stays as it is.

    A check that reads a section with problems is left out. Validating the result again gives an
    equal result. Local folders are looked up from the working directory. Raises
    :class:`ConfigError` with one line per problem.
    """
    raw = with_new_names(without_absent(plain(config)))
    wrong = problems(raw)
    completed, misplaced = complete(raw)
    broken = {str(problem.path[0]) for problem in wrong if problem.path}
    broken |= set(schema()["properties"]) - set(completed)
    if "coders" not in broken and (siteless := _complete_sites(completed["coders"])):
        wrong += siteless
        broken.add("coders")
    wrong += misplaced
    for check in checks:
        if not check.sections & broken:
            wrong += check.find(completed)
    if wrong:
        raise ConfigError(in_order(wrong, raw))
    return completed


def in_order(problems: Iterable[Problem], raw: Mapping[str, Any]) -> list[str]:
    """Problems as lines without repeats, in the order in which the configuration is written."""
    order = {path: index for index, path in enumerate(_paths(raw))}

    def position(problem: Problem) -> int:
        """That of its path, or of the nearest one above that is written."""
        above = (problem.path[:depth] for depth in range(len(problem.path), -1, -1))
        return next(order[path] for path in above if path in order)

    return list(dict.fromkeys(str(problem) for problem in sorted(problems, key=position)))


def without_absent(config: dict[str, Any]) -> dict[str, Any]:
    """Take out the entries that an overlay declares absent: ``coders: {sae-random: absent}``.

    Overlays are merged key by key, so that without this word nothing inherited could be left out.
    """
    for pattern in REMOVABLE:
        for _, section in places(config, pattern):
            for name in [name for name, entry in section.items() if entry == ABSENT]:
                del section[name]
    return config


def _complete_sites(coders: dict[str, dict[str, Any]]) -> list[Problem]:
    """Fill the hook points that follow from an architecture; one problem per coder without one."""
    siteless = []
    for name, coder in coders.items():
        architecture = ARCHITECTURES[coder["architecture"]]
        if architecture.input_hook is not None:
            coder.setdefault("input_hook", architecture.input_hook)
        if "input_hook" in coder:
            coder.setdefault("output_hook", architecture.output_hook or coder["input_hook"])
        else:
            what = f"missing; {architecture.label} names one of {comma_list(HookPointName)}"
            siteless.append(Problem(("coders", name, "input_hook"), what))
    return siteless


def _paths(value: Any, path: Where = ()) -> Iterable[Where]:
    """Every path of a configuration, in the order in which it is written."""
    yield path
    children = dict(enumerate(value)) if isinstance(value, list) else value
    for key, below in children.items() if isinstance(children, Mapping) else ():
        yield from _paths(below, (*path, key))
