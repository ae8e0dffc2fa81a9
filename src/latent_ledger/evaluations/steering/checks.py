"""Checks of steering: concepts, protocols, coders and the layer of the judge."""

from collections.abc import Iterator
from typing import Any

from latent_ledger.config.coder_specs import coders_measured_by
from latent_ledger.config.problems import Problem, Where, needs_sections
from latent_ledger.lib.suggestions import show, suggest
from latent_ledger.models.sources.registry import shape as model_shape

WHERE: Where = ("evaluations", "steering")


@needs_sections("evaluations")
def _concepts(config: dict[str, Any]) -> Iterator[Problem]:
    """Directions and judges are fit on the probing examples of a concept."""
    steering, probing = (config["evaluations"].get(name) for name in ("steering", "probing"))
    if steering is None:
        return
    if probing is None:
        yield Problem(WHERE, "learns from the examples of evaluations.probing, which is missing")
        return
    known = probing["concepts"]
    for path, concept in _listed(steering, "concepts"):
        if concept not in known:
            hint = suggest(concept, known)
            yield Problem(path, f"{show(concept)} is no concept of evaluations.probing; {hint}")
    most = probing["context"] - 2  # BOS, and a prompt of at least one token
    if steering["new_tokens"] > most:
        what = (
            f"{steering['new_tokens']} and a prompt exceed evaluations.probing.context, "
            f"{probing['context']}; at most {most} leave room for one"
        )
        yield Problem((*WHERE, "new_tokens"), what)


def _listed(steering: dict[str, Any], key: str) -> Iterator[tuple[Where, str]]:
    """Path and value of every entry of a list, in the block and then in each further protocol."""
    blocks = {WHERE: steering}
    blocks |= {(*WHERE, "variants", name): block for name, block in steering["variants"].items()}
    for where, block in blocks.items():
        for index, value in enumerate(block.get(key, [])):
            yield (*where, key, index), value


@needs_sections("evaluations", "coders", "training")
def _variants(config: dict[str, Any]) -> Iterator[Problem]:
    """A further protocol steers coders that the block steers."""
    steering = config["evaluations"].get("steering")
    known = list(dict.fromkeys(spec.coder for spec in coders_measured_by(config, "steering")))
    for path, name in _listed(steering, "coders") if steering else ():
        if name not in known:
            what = f"{show(name)} is not steered by this evaluation; {suggest(name, known)}"
            yield Problem(path, what)


@needs_sections("model", "evaluations")
def _judge_layer(config: dict[str, Any]) -> Iterator[Problem]:
    layer = config["evaluations"].get("steering", {}).get("judge_layer")
    shape = model_shape(config["model"])
    if layer is None or shape is None or shape.layers is None:
        return
    if layer >= shape.layers:
        what = f"{layer} is beyond the model, whose layers are 0 to {shape.layers - 1}"
        yield Problem((*WHERE, "judge_layer"), what)


@needs_sections("evaluations", "coders", "training")
def _steerable(config: dict[str, Any]) -> Iterator[Problem]:
    """A decoder direction must lie in the residual stream, or in what the MLP adds to it."""
    for name in dict.fromkeys(spec.coder for spec in coders_measured_by(config, "steering")):
        output_hook = config["coders"][name]["output_hook"]
        if output_hook == "mlp_in":
            what = f"{name} writes {output_hook}, where nothing can be steered; leave it out"
            yield Problem((*WHERE, "select"), what)


CHECKS = (_concepts, _variants, _judge_layer, _steerable)
