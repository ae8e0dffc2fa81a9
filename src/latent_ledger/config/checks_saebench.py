"""Does SAEBench's sparse probing have the classes and the texts it asks for?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from latent_ledger.config.expansion import chosen
from latent_ledger.config.problems import Problem, reads

FEWEST = 2
"""Classes: the others are a class's negatives."""


@reads("evaluations")
def _classes(config: dict[str, Any]) -> Iterator[Problem]:
    """The probing concepts give the classes, and enough texts for every size."""
    block = config["evaluations"].get("saebench")
    if block is None:
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
    have = probing["examples"]
    for index, size in enumerate(block["sizes"]):
        train, _, test = size.partition("-")
        for split, wanted in (("train", int(train)), ("test", int(test))):
            if wanted < 4 or wanted > have[split]:
                yield Problem(
                    ("evaluations", "saebench", "sizes", index),
                    f"{wanted} {split} examples are not between 4 and the {have[split]} of "
                    f"evaluations.probing.examples.{split}",
                )


@reads("evaluations", "coders", "training")
def _top_k(config: dict[str, Any]) -> Iterator[Problem]:
    """No probe asks for more latents than the narrowest coder has."""
    for name in ("saebench", "sae_probes"):
        measured = [one for one in chosen(config, name) if one.width is not None]
        if not measured:
            continue
        narrow = min(measured, key=lambda one: one.width)
        for index, k in enumerate(config["evaluations"][name]["top_k"]):
            if k > narrow.width:
                yield Problem(
                    ("evaluations", name, "top_k", index),
                    f"{k} latents exceed the width of {narrow.coder}, {narrow.width}",
                )


CHECKS = (_classes, _top_k)
