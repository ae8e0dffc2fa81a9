"""Checks of the GPUs: the list rises in size, and a rule's GPU needs the list."""

from collections.abc import Iterator
from typing import Any

from latent_ledger.config.problems import Problem, needs_sections
from latent_ledger.resources.devices import gpus


@needs_sections("hardware")
def _cheapest_first(config: dict[str, Any]) -> Iterator[Problem]:
    """Jobs take the first GPU they fit on: a large one in front would take them all."""
    listed = config["hardware"]["gpus"]
    for index, (first, other) in enumerate(zip(listed, listed[1:], strict=False)):
        if gpus()[first].memory_gib > gpus()[other].memory_gib:
            what = f"{other} is smaller than {first} before it, so no job would get it; swap them"
            yield Problem(("hardware", "gpus", index + 1), what)


@needs_sections("hardware")
def _listed(config: dict[str, Any]) -> Iterator[Problem]:
    """The GPU of a rule means nothing where no job has one."""
    hardware = config["hardware"]
    for name in hardware["gpu"]:
        if not hardware["gpus"]:
            what = "hardware.gpus is empty, so that no job has a GPU; list it there"
            yield Problem(("hardware", "gpu", name), what)


CHECKS = (_cheapest_first, _listed)
