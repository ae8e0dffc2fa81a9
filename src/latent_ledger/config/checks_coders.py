"""Checks of the coders and their comparisons: sites, sizes, and equal conditions."""

import re
from collections.abc import Iterator
from typing import Any

from latent_ledger.coders.formats.recognition import format_of_repository
from latent_ledger.coders.training.architectures.registry import ARCHITECTURES
from latent_ledger.config.coder_specs import (
    LEARNT_HERE,
    OF_ANY_MODEL,
    ORIGINAL,
    PLACE,
    base,
    base_block,
    coders_measured_by,
    effective,
    is_pretrained,
    pairs,
    unfair_fields,
)
from latent_ledger.config.limits import within_width
from latent_ledger.config.problems import Check, Problem, Where, needs_sections, unknown
from latent_ledger.config.schema_file import schema
from latent_ledger.config.sources import coder_source
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.suggestions import comma_list, show
from latent_ledger.models.hook_points import HookPointName
from latent_ledger.models.sources import checks as source_checks
from latent_ledger.models.sources.registry import shape as model_shape

FAMILIES = ("comparisons", "families")


@needs_sections("model", "coders")
def _layers(config: dict[str, Any]) -> Iterator[Problem]:
    for name, coder in config["coders"].items():
        base_name = base(config, coder["model"])
        shape = model_shape(base_block(config, base_name))
        if shape and shape.layers is not None and coder["layer"] >= shape.layers:
            model = "the model" if base_name == ORIGINAL else base_name
            what = f"{coder['layer']} is beyond {model}, whose layers are 0 to {shape.layers - 1}"
            yield Problem(("coders", name, "layer"), what)


@needs_sections("coders")
def _sites(config: dict[str, Any]) -> Iterator[Problem]:
    for name, coder in config["coders"].items():
        architecture = ARCHITECTURES[coder["architecture"]]
        input_hook, output_hook = coder["input_hook"], coder["output_hook"]
        later = list(HookPointName)[HookPointName(input_hook).depth + 1 :]
        if output_hook in ([input_hook] if architecture.autoencodes else later):
            continue
        key = "output_hook"
        if architecture.autoencodes:
            other = next(entry.label for entry in ARCHITECTURES.values() if not entry.autoencodes)
            what = f"writes what it reads, {input_hook}; remove this key, or make the coder {other}"
        elif later:
            known = comma_list(later)
            what = f"that reads {input_hook} must write one of {known}, not {output_hook}"
        else:
            key, what = "input_hook", f"cannot read {input_hook}: nothing comes after it"
        yield Problem(("coders", name, key), f"{architecture.label} {what}")


@needs_sections("coders")
def _coder_names(config: dict[str, Any]) -> Iterator[Problem]:
    for name in config["coders"]:
        if ending := re.search(r"-k\d+(-s\d+)?$", name):
            what = f'may not end in "{ending[0]}", which would collide with the names of coders'
            yield Problem(("coders", name), f"a name {what}")


@needs_sections("model", "coders")
def _models(config: dict[str, Any]) -> Iterator[Problem]:
    randomised, others = config["model"]["randomised"], config["model"]["others"]
    known = [ORIGINAL, *randomised, *others]
    for name, coder in config["coders"].items():
        if coder["model"] not in known:
            yield Problem(("coders", name, "model"), unknown("model", coder["model"], known))
    taken = [(section, ORIGINAL, "the model itself") for section in ("randomised", "others")]
    taken += [("others", name, "a re-randomised model") for name in randomised]
    for section, name, owner in taken:
        if name in config["model"][section]:
            what = f"this name is taken by {owner}; choose another"
            yield Problem(("model", section, name), what)


@needs_sections("coders")
def _pretrained(config: dict[str, Any]) -> Iterator[Problem]:
    """A coder is trained here or fetched, and has no keys of the other kind."""
    for name, coder in config["coders"].items():
        if not is_pretrained(coder):
            for key in PLACE:
                if coder.get(key) is not None:
                    what = "only goes with a source, from which the coder is fetched"
                    yield Problem(("coders", name, key), what)
            continue
        for key in LEARNT_HERE:
            if coder.get(key) not in (None, "trained"):
                what = "a coder with a source comes trained; remove this key, or the source"
                yield Problem(("coders", name, key), what)
        if coder["model"] != ORIGINAL:
            what = "a pretrained coder is of the model itself; train one of this model instead"
            yield Problem(("coders", name, "model"), what)
        for what in source_checks.coder_problems(coder["source"]):
            yield Problem(("coders", name, "source"), what)
        origin = coder_source(coder["source"])
        if coder.get("format") is None and origin and origin.name == "hub":
            try:
                format_of_repository(coder["source"])
            except LedgerError as error:
                yield Problem(("coders", name, "format"), str(error))


@needs_sections("coders", "training")
def _k_within_width(config: dict[str, Any]) -> Iterator[Problem]:
    reported = set()
    for name, coder in config["coders"].items():
        if is_pretrained(coder):
            continue
        width = effective(config, name, "width")
        path = ("coders", name, "k") if "k" in coder else ("training", "k")
        for index, k in enumerate(effective(config, name, "k")):
            where = (*path, index)
            if k > width and where not in reported:
                reported.add(where)
                owner = f" of {name}" if "width" in coder else ""
                yield Problem(where, f"{k} active latents exceed the width{owner}, {width}")


@needs_sections("coders", "training", "evaluations")
def _top_k_within_width(config: dict[str, Any]) -> Iterator[Problem]:
    widths = {name: effective(config, name, "width") for name in config["coders"]}
    top_k = config["evaluations"].get("probing", {}).get("top_k", [])
    yield from within_width(("evaluations", "probing", "top_k"), top_k, widths)


@needs_sections("coders", "training", "tokens")
def _whole_contexts(config: dict[str, Any]) -> Iterator[Problem]:
    context = config["tokens"]["context"]
    blocks: dict[Where, dict[str, Any]] = {("training",): config["training"]}
    blocks |= {("coders", name): coder for name, coder in config["coders"].items()}
    for path, block in blocks.items():
        batch = block.get("batch_tokens", context)
        if batch % context:
            near = max(1, round(batch / context)) * context
            what = f"{batch} is not a multiple of tokens.context, {context}; {near} would be"
            yield Problem((*path, "batch_tokens"), what)


def metrics(config: dict[str, Any]) -> dict[str, str]:
    """Names and descriptions of the metrics that the configured evaluations give."""
    known = {}
    for evaluation, block in schema()["properties"]["evaluations"]["properties"].items():
        settings = config["evaluations"].get(evaluation)
        if settings is None:
            continue
        for name, meaning in block.get("x-metrics", {}).items():
            key = re.search(r"\{(\w+)\}", name)
            for slot in [{key[1]: entry} for entry in settings[key[1]]] if key else [{}]:
                known[f"{evaluation}.{name}".format(**slot)] = meaning.format(**slot)
    return known


@needs_sections("comparisons", "evaluations")
def _metrics(config: dict[str, Any]) -> Iterator[Problem]:
    known = metrics(config)
    possible = schema()["properties"]["evaluations"]["properties"]
    for family, entry in config["comparisons"]["families"].items():
        for index, metric in enumerate(entry["metrics"]):
            if metric in known:
                continue
            what = unknown("metric", metric, known)
            evaluation = metric.partition(".")[0]
            if evaluation in possible and evaluation not in config["evaluations"]:
                what = f"{show(metric)}: the evaluation {evaluation} is not configured"
            yield Problem((*FAMILIES, family, "metrics", index), what)


@needs_sections("model", "evaluations", "coders", "training")
def _evaluation_selects(config: dict[str, Any]) -> Iterator[Problem]:
    """An evaluation's ``select`` names coders, k and seeds that exist, and at least one coder."""
    for evaluation, block in config["evaluations"].items():
        where = ("evaluations", evaluation, "select")
        problems = []
        for index, name in enumerate(block["select"].get("coders", [])):
            coder = config["coders"].get(name)
            if coder is None:
                what = unknown("coder", name, config["coders"])
            elif evaluation not in OF_ANY_MODEL and base(config, coder["model"]) != ORIGINAL:
                what = _of_another_model(config, name, evaluation)
            else:
                continue
            problems.append(Problem((*where, "coders", index), what))
        if not problems and not coders_measured_by(config, evaluation):
            what = "no trained coder fits; give it a coder, k or seed that exists"
            problems.append(Problem(where, what))
        yield from problems


def _of_another_model(config: dict[str, Any], coder: str, evaluation: str) -> str:
    """Why an evaluation cannot measure a coder of another model."""
    model = config["coders"][coder]["model"]
    others = f"only {comma_list(OF_ANY_MODEL)} measures coders of other models"
    return f"{coder} is of {model}, and {others}, not {evaluation}"


@needs_sections("model", "comparisons", "evaluations", "coders", "training")
def _measured(config: dict[str, Any]) -> Iterator[Problem]:
    """Compared coders are measured: the evaluation's ``select`` leaves out neither side."""
    for family, entry in config["comparisons"]["families"].items():
        if any(name not in config["coders"] for pair in entry["pairs"] for name in pair):
            continue
        compared = {spec.name: spec for pair in pairs(config, family) for spec in pair}
        for evaluation in dict.fromkeys(metric.partition(".")[0] for metric in entry["metrics"]):
            measured = {spec.name for spec in coders_measured_by(config, evaluation)}
            missing = sorted(compared.keys() - measured)
            if not missing or evaluation not in config["evaluations"]:
                continue
            foreign = [name for name in missing if compared[name].base != ORIGINAL]
            if foreign and evaluation not in OF_ANY_MODEL:
                what = _of_another_model(config, compared[foreign[0]].coder, evaluation)
            else:
                what = (
                    f"{missing[0]} is not measured by {evaluation}; add it to "
                    f"evaluations.{evaluation}.select, or limit the family by its own select"
                )
            yield Problem((*FAMILIES, family), what)


@needs_sections("comparisons", "coders", "training")
def _family_selects(config: dict[str, Any]) -> Iterator[Problem]:
    for family, entry in config["comparisons"]["families"].items():
        for key, values in entry["select"].items():
            trained = _trained(config, key)
            for index, value in enumerate(values):
                if value not in trained:
                    what = f"no coder is trained at {value}; known: {comma_list(trained)}"
                    yield Problem((*FAMILIES, family, "select", key, index), what)


def _trained(config: dict[str, Any], key: str) -> list[int]:
    """Every k, or every seed, that some coder is trained at."""
    trained = [name for name, coder in config["coders"].items() if not is_pretrained(coder)]
    return sorted({value for name in trained for value in effective(config, name, key)})


@needs_sections("model", "comparisons", "coders", "training")
def _pairs(config: dict[str, Any]) -> Iterator[Problem]:
    coders = config["coders"]
    for family, entry in config["comparisons"]["families"].items():
        seen: set[frozenset[str]] = set()
        for index, pair in enumerate(entry["pairs"]):
            path = (*FAMILIES, family, "pairs", index)
            for side, name in enumerate(pair):
                if name not in coders:
                    yield Problem((*path, side), unknown("coder", name, coders))
            if pair[0] == pair[1]:
                yield Problem(path, f"{pair[0]} is compared with itself")
            elif frozenset(pair) in seen:
                yield Problem(path, f"{pair[0]} and {pair[1]} are compared twice")
            elif coders.keys() >= set(pair):
                yield from _fair(config, entry, pair, path)
            seen.add(frozenset(pair))


def _fair(
    config: dict[str, Any], entry: dict[str, Any], pair: list[str], path: Where
) -> Iterator[Problem]:
    """Two coders meet at some k and seed, and differ in nothing the family does not allow."""
    first, second = pair
    models = [base(config, config["coders"][name]["model"]) for name in pair]
    if models[0] != models[1]:
        what = f"{first} and {second} are of different models, {comma_list(models)}"
        yield Problem(path, f"{what}, which read different tokens; take the pair out")
        return
    elsewhere = any(is_pretrained(config["coders"][name]) for name in pair)
    for key, plural in () if elsewhere else (("k", "k"), ("seeds", "seed")):
        trained = _trained(config, key)
        allowed = [value for value in entry["select"].get(key, trained) if value in trained]
        common = set(effective(config, first, key)) & set(effective(config, second, key))
        if allowed and common.isdisjoint(allowed):
            where = f" among {comma_list(allowed)}" if key in entry["select"] else ""
            yield Problem(path, f"{first} and {second} have no {plural} in common{where}")
    for key, ours, theirs in unfair_fields(config, first, second):
        if key not in entry["allow_unfair"]:
            what = f"{first} and {second} differ in {key} ({show(ours)}, {show(theirs)})"
            yield Problem(path, f"{what}; make them equal or add {key} to allow_unfair")


CHECKS = tuple(check for check in vars().values() if isinstance(check, Check))
"""Every check above."""
