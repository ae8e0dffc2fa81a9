"""Checks of the GPUs: the list rises in size, and a rule's GPU needs the list."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from latent_ledger.config.problems import Problem, needs_sections
from latent_ledger.resources.devices import gpus


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


CHECKS = (_cheapest_first, _listed)
