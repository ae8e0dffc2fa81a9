"""Checks of corpus slices: their names and contexts, and the coders measured on them."""

from collections.abc import Iterator
from typing import Any

from latent_ledger.config.coder_specs import coder_specs
from latent_ledger.config.limits import within_context
from latent_ledger.config.problems import Problem, needs_sections
from latent_ledger.lib.suggestions import show, suggest

TAKEN = ("coder", "evaluation", "scoring", "model", "probing", "sae-probes", "concepts")
"""Names of other token sets and corpus parts."""


@needs_sections("model", "corpus")
def _slices(config: dict[str, Any]) -> Iterator[Problem]:
    for name, declared in config["corpus"]["slices"].items():
        path = ("corpus", "slices", name)
        if name in TAKEN or name.startswith("saebench"):
            yield Problem(path, "this name is taken by a token set; choose another")
        yield from within_context(config, {(*path, "context"): declared["context"]})


@needs_sections("corpus", "evaluations", "coders", "training")
def _measured(config: dict[str, Any]) -> Iterator[Problem]:
    known = {spec.name: spec for spec in coder_specs(config)}
    slices = config["corpus"]["slices"]
    for name, coders in config["evaluations"].get("reconstruction", {}).get("slices", {}).items():
        path = ("evaluations", "reconstruction", "slices", name)
        if name not in slices:
            hint = suggest(name, slices) if slices else "corpus.slices declares none"
            yield Problem(path, f"unknown slice {show(name)}; {hint}")
        for index, coder in enumerate(coders):
            if coder not in known:
                hint = suggest(coder, known)
                yield Problem((*path, index), f"unknown coder {show(coder)}; {hint}")
            elif not known[coder].pretrained:
                yield Problem(
                    (*path, index),
                    f"{coder} is trained on documents of this corpus, and a slice may hold them; "
                    "its reconstruction is measured on the evaluation part",
                )


CHECKS = (_slices, _measured)
