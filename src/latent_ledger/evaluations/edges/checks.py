"""Checks of causal edges: the coders of a group exist, on one model, one per layer."""

from collections.abc import Iterator
from typing import Any

from latent_ledger.config.coder_specs import ORIGINAL, coder_specs, coders_measured_by
from latent_ledger.config.problems import Problem, needs_sections
from latent_ledger.lib.suggestions import show, suggest


@needs_sections("model", "evaluations", "coders", "training")
def _groups(config: dict[str, Any]) -> Iterator[Problem]:
    block = config["evaluations"].get("edges")
    if block is None:
        return
    known = {spec.name: spec for spec in coder_specs(config)}
    measured = {spec.name for spec in coders_measured_by(config, "edges")}
    for group, names in block["groups"].items():
        where = ("evaluations", "edges", "groups", group)
        unknown = [index for index, name in enumerate(names) if name not in known]
        for index in unknown:
            hint = suggest(names[index], known)
            yield Problem((*where, index), f"unknown coder {show(names[index])}; {hint}")
        if unknown:
            continue
        members = [known[name] for name in names]
        layers = [spec.site.output_hook.layer for spec in members]
        for layer in sorted({layer for layer in layers if layers.count(layer) > 1}):
            yield Problem(where, f"a graph has one coder per layer; layer {layer} has several")
        models = sorted({spec.model for spec in members})
        if len(models) > 1:
            yield Problem(where, f"its coders belong to different models, {' and '.join(models)}")
        elif members[0].base != ORIGINAL:
            what = f"{members[0].name} is of {models[0]}, and a graph is of the model's own coders"
            yield Problem(where, what)
            continue
        left_out = sorted(set(names) - measured)
        if left_out:
            out = f"{left_out[0]} is left out by evaluations.edges.select"
            yield Problem(where, f"{out}; remove the group or it")


CHECKS = (_groups,)
