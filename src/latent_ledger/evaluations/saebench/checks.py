"""Checks of SAEBench: its sparse probing has enough classes and texts."""

from collections.abc import Iterator
from typing import Any

from latent_ledger.config.coder_specs import coders_measured_by
from latent_ledger.config.limits import within_context, within_width
from latent_ledger.config.problems import Problem, needs_sections

FEWEST = 2
"""Fewest classes: the others are the negatives of a class."""


@needs_sections("evaluations")
def _classes(config: dict[str, Any]) -> Iterator[Problem]:
    """The probing concepts give the classes, and enough texts for every size."""
    block = config["evaluations"].get("saebench")
    if block is None:
        return
    if block["datasets"]:
        yield from _divisible(block["sizes"])
        return
    probing = config["evaluations"].get("probing")
    if probing is None:
        yield Problem(
            ("evaluations", "saebench"),
            "missing evaluations.probing; its concepts are SAEBench's classes",
        )
        return
    if len(probing["concepts"]) < FEWEST:
        yield Problem(
            ("evaluations", "saebench"),
            "evaluations.probing has one concept; SAEBench needs two classes at least, because "
            "the other classes are a class's negatives",
        )
    available = probing["examples"]
    for index, size in enumerate(block["sizes"]):
        train, _, test = size.partition("-")
        for split, wanted in (("train", int(train)), ("test", int(test))):
            if wanted < 4 or wanted > available[split]:
                yield Problem(
                    ("evaluations", "saebench", "sizes", index),
                    f"{wanted} {split} examples are not between 4 and the {available[split]} of "
                    f"evaluations.probing.examples.{split}",
                )


def _divisible(sizes: list[str]) -> Iterator[Problem]:
    """bias_in_bios is balanced over two columns, so a probe's examples come in fours."""
    for index, size in enumerate(sizes):
        for number in size.split("-"):
            if int(number) % 4:
                message = f"{number} examples do not divide by 4, in which SAEBench balances them"
                yield Problem(("evaluations", "saebench", "sizes", index), message)


@needs_sections("model", "evaluations")
def _context(config: dict[str, Any]) -> Iterator[Problem]:
    block = config["evaluations"].get("saebench")
    if block is not None and block["datasets"]:
        where = ("evaluations", "saebench", "context")
        yield from within_context(config, {where: block["context"]})


@needs_sections("evaluations", "coders", "training")
def _top_k(config: dict[str, Any]) -> Iterator[Problem]:
    """No probe asks for more latents than the narrowest coder has."""
    widths = {spec.coder: spec.width for spec in coders_measured_by(config, "saebench")}
    top_k = config["evaluations"].get("saebench", {}).get("top_k", [])
    yield from within_width(("evaluations", "saebench", "top_k"), top_k, widths)


CHECKS = (_classes, _context, _top_k)
