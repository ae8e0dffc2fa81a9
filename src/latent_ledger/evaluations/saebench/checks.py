"""Checks of SAEBench: its sparse probing has enough classes and texts."""

from collections.abc import Iterator
from typing import Any

from latent_ledger.config.coder_specs import coders_measured_by
from latent_ledger.config.limits import within_context, within_width
from latent_ledger.config.problems import Problem, needs_sections

WHERE = ("evaluations", "saebench")


@needs_sections("evaluations")
def _classes(config: dict[str, Any]) -> Iterator[Problem]:
    """The probing concepts give the classes, and enough texts for every size."""
    block, probing = (config["evaluations"].get(name) for name in ("saebench", "probing"))
    if block is None:
        return
    if not block["datasets"]:
        if probing is None:
            yield Problem(WHERE, "missing evaluations.probing; its concepts are SAEBench's classes")
            return
        if len(probing["concepts"]) < 2:
            yield Problem(
                WHERE,
                "evaluations.probing has one concept; SAEBench needs two classes at least, because "
                "the other classes are a class's negatives",
            )
    for index, size in enumerate(block["sizes"]):
        for split, number in zip(("train", "test"), map(int, size.split("-")), strict=True):
            if block["datasets"]:
                # bias_in_bios is balanced over two columns, so a probe's examples come in fours.
                message = f"{number} examples do not divide by 4, in which SAEBench balances them"
                faulty = number % 4 != 0
            else:
                available = probing["examples"][split]
                message = (
                    f"{number} {split} examples are not between 4 and the {available} of "
                    f"evaluations.probing.examples.{split}"
                )
                faulty = not 4 <= number <= available
            if faulty:
                yield Problem((*WHERE, "sizes", index), message)


@needs_sections("model", "evaluations")
def _context(config: dict[str, Any]) -> Iterator[Problem]:
    block = config["evaluations"].get("saebench")
    if block is not None and block["datasets"]:
        yield from within_context(config, {(*WHERE, "context"): block["context"]})


@needs_sections("evaluations", "coders", "training")
def _top_k(config: dict[str, Any]) -> Iterator[Problem]:
    """No probe asks for more latents than the narrowest coder has."""
    widths = {spec.coder: spec.width for spec in coders_measured_by(config, "saebench")}
    top_k = config["evaluations"].get("saebench", {}).get("top_k", [])
    yield from within_width(("evaluations", "saebench", "top_k"), top_k, widths)


CHECKS = (_classes, _context, _top_k)
