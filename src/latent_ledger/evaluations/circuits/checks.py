"""Checks of circuits: concepts, sizes, number of draws, coders and their layers."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from latent_ledger.config.coder_specs import ORIGINAL, coder_specs, coders_measured_by
from latent_ledger.config.limits import within_width
from latent_ledger.config.problems import Problem, needs_sections
from latent_ledger.lib.suggestions import comma_list, show, suggest

WHERE = ("evaluations", "circuits")


@needs_sections("evaluations")
def _concepts(config: dict[str, Any]) -> Iterator[Problem]:
    if "circuits" in config["evaluations"] and "probing" not in config["evaluations"]:
        yield Problem(WHERE, "needs the concepts of evaluations.probing, which is not configured")


@needs_sections("evaluations")
def _headline(config: dict[str, Any]) -> Iterator[Problem]:
    for where, block in _blocks(config):
        if block["headline_k"] not in block["top_k"]:
            sizes = comma_list(block["top_k"])
            what = f"{block['headline_k']} is not among the sizes in top_k: {sizes}"
            yield Problem((*where, "headline_k"), what)


@needs_sections("evaluations", "ledger")
def _enough_draws(config: dict[str, Any]) -> Iterator[Problem]:
    """Holm multiplies the smallest p by the number of concepts (or of sizes, over all concepts)."""
    if "circuits" not in config["evaluations"] or "probing" not in config["evaluations"]:
        return
    alpha, draws = config["ledger"]["alpha"], config["evaluations"]["circuits"]["draws"]
    concepts = len(config["evaluations"]["probing"]["concepts"])
    tests = max(concepts, *(len(block["top_k"]) for _, block in _blocks(config)))
    if tests / (draws + 1) >= alpha:
        need = next(n for n in range(draws, 10**9) if tests / (n + 1) < alpha)
        yield Problem(
            (*WHERE, "draws"),
            f"{draws} random circuits cannot bring {tests} Holm-corrected tests below ledger.alpha "
            f"= {alpha:g}; at least {need} can",
        )


@needs_sections("evaluations", "coders", "training")
def _sizes_within_width(config: dict[str, Any]) -> Iterator[Problem]:
    known = {spec.name: spec for spec in coder_specs(config)}
    for where, block in _blocks(config):
        coders = coders_measured_by(config, "circuits")
        if "coders" in block:
            coders = [known[name] for name in block["coders"] if name in known]
        widths = {spec.name: spec.width for spec in coders}
        yield from within_width((*where, "top_k"), block["top_k"], widths)


@needs_sections("model", "evaluations", "coders", "training")
def _layers_in_order(config: dict[str, Any]) -> Iterator[Problem]:
    """The coders of a circuit exist, belong to one model, and have rising layers."""
    known = {spec.name: spec for spec in coder_specs(config)}
    for where, block in _blocks(config):
        names, place = block.get("coders", []), (*where, "coders")
        unknown = [name for name in names if name not in known]
        for name in unknown:
            what = f"unknown coder {show(name)}; {suggest(name, known)}"
            yield Problem((*place, names.index(name)), what)
        if unknown or not names:
            continue
        coders = [known[name] for name in names]
        models = {spec.model for spec in coders}
        if len(models) > 1:
            yield Problem(place, f"these coders are of several models: {comma_list(models)}")
        elif coders[0].base != ORIGINAL:
            what = f"{coders[0].name} is of {coders[0].model}, and circuits are the model's own"
            yield Problem(place, what)
        layers = [spec.site.input_hook.layer for spec in coders]
        if any(first >= second for first, second in pairwise(layers)):
            what = f"layers must rise from coder to coder; these are at {comma_list(layers)}"
            yield Problem(place, what)


def _blocks(config: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Path and block of the circuits of one layer, then of each circuit of several layers."""
    block = config["evaluations"].get("circuits")
    if block is not None:
        yield WHERE, block
        for name, circuit in block["multilayer"].items():
            yield (*WHERE, "multilayer", name), circuit


CHECKS = (_concepts, _headline, _enough_draws, _sizes_within_width, _layers_in_order)
