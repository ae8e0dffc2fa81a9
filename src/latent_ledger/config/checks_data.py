"""Do the store, the model, the texts and the labelled examples exist and go together?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latent_ledger.config.problems import Problem, nearest, needs_sections, show, suggest
from latent_ledger.config.sources import (
    CONCEPTS,
    CORPUS_SUFFIXES,
    HUB_ID,
    corpus_kind,
    installed,
    local,
    model_kind,
    model_shape,
)


@needs_sections("store")
def _store(config: dict[str, Any]) -> Iterator[Problem]:
    store = config["store"]
    path, results = Path(store).resolve(), Path("results").resolve()
    if store.startswith("~"):
        yield Problem(("store",), f"{show(store)}: ~ is not expanded here; write the whole path")
    elif results in (path, *path.parents):
        yield Problem(
            ("store",),
            f"{show(store)} lies in results/, and the store must survive `rm -rf results`",
        )
    elif any(part.exists() and not part.is_dir() for part in (path, *path.parents)):
        yield Problem(("store",), f"{show(store)} is or lies below a file; name a folder")


@needs_sections("model")
def _model_source(config: dict[str, Any]) -> Iterator[Problem]:
    yield from _published(config["model"]["source"], ("model", "source"))
    for name, other in config["model"]["others"].items():
        path = ("model", "others", name, "source")
        if other["source"] == "embedded":
            yield Problem(path, "another model is a published one; write a hub id or a folder")
        else:
            yield from _published(other["source"], path)


def _published(source: str, path: tuple[str, ...]) -> Iterator[Problem]:
    """A model can be meant as it is written."""
    kind = model_kind(source)
    if kind is None:
        if source.startswith("hub:"):
            hint = f"write the hub id alone, {show(source.removeprefix('hub:'))}"
        elif nearest(source, ["embedded"]):
            hint = 'did you mean "embedded"?'
        else:
            hint = 'write "embedded", a hub id as owner/name, or a folder as ./name'
        yield Problem(path, f"{show(source)} is no model source; {hint}")
    elif kind == "hub" and local(source).is_dir():
        yield Problem(
            path,
            f"{show(source)} may be a hub id or the folder of that name here; "
            f"write {show('./' + source)} for the folder, or rename the folder",
        )
    elif kind == "folder" and not local(source).is_dir():
        yield Problem(path, f"the folder {show(source)} does not exist")
    elif kind == "folder" and not (local(source) / "config.json").is_file():
        yield Problem(path, f"the folder {show(source)} holds no config.json, so no model")


@needs_sections("model")
def _embedded_model(config: dict[str, Any]) -> Iterator[Problem]:
    training = config["model"].get("training")
    if training is None:
        return
    width, heads = training["width"], training["heads"]
    step = 8 * heads  # rotary embeddings turn a quarter of a head's dimensions, in pairs
    if width % step:
        down, up = width // step * step, (width // step + 1) * step
        yield Problem(
            ("model", "training", "width"),
            f"{width} with {heads} heads does not give every head a multiple of 8 dimensions; "
            f"{f'{down} or {up}' if down else up} would",
        )


@needs_sections("corpus")
def _corpus_source(config: dict[str, Any]) -> Iterator[Problem]:
    yield from _texts(config["corpus"]["source"], ("corpus", "source"))


def _texts(source: str, path: tuple[str, ...]) -> Iterator[Problem]:
    """A source of texts, labelled or not, can be meant as it is written."""
    kind = corpus_kind(source)
    if kind == "hub":
        name = source.removeprefix("hub:").partition(":")[0]
        if not (HUB_ID.fullmatch(name) or re.fullmatch(r"[\w.-]+", name)):
            yield Problem(path, f"{show(source)} names no data set; write hub:owner/name")
    elif kind == "folder" and not local(source).exists():
        what = f"the folder {show(source)} does not exist"
        if nearest(source, ["embedded"]):
            what += '; did you mean "embedded"?'
        elif HUB_ID.fullmatch(source):
            what += f"; a hub data set is written {show('hub:' + source)}"
        yield Problem(path, what)
    elif kind == "folder" and not any(
        file.suffix in CORPUS_SUFFIXES for file in (local(source), *local(source).rglob("*"))
    ):
        kinds = ", ".join(CORPUS_SUFFIXES)
        yield Problem(path, f"{show(source)} holds no text ({kinds})")


@needs_sections("corpus")
def _parts(config: dict[str, Any]) -> Iterator[Problem]:
    total = sum(config["corpus"]["parts"].values())
    if total > 1 + 1e-9:  # shares such as 0.7 + 0.2 + 0.1 sum to a little more than 1
        yield Problem(
            ("corpus", "parts"), f"the shares sum to {total:.6g}, and must sum to at most 1"
        )


@needs_sections("model", "corpus")
def _model_part(config: dict[str, Any]) -> Iterator[Problem]:
    if config["model"]["source"] == "embedded" and "model" not in config["corpus"]["parts"]:
        yield Problem(
            ("corpus", "parts", "model"), "missing; the embedded model needs text to train on"
        )


@needs_sections("model", "tokens")
def _budgets(config: dict[str, Any]) -> Iterator[Problem]:
    context = config["tokens"]["context"]
    budgets = {("tokens", "budget"): config["tokens"]["budget"]}
    for name, other in config["model"]["others"].items():
        budgets["model", "others", name, "tokens"] = other["tokens"]
    for path, parts in budgets.items():
        for part, budget in parts.items():
            if budget < context:
                what = f"{budget} tokens do not fill one context of {context}"
                yield Problem((*path, part), what)


@needs_sections("model", "tokens", "evaluations")
def _contexts(config: dict[str, Any]) -> Iterator[Problem]:
    for name, other in config["model"]["others"].items():
        shape, context = model_shape(other), config["tokens"]["context"]
        if shape and shape.context and context > shape.context:
            what = f"its context of {shape.context} is shorter than tokens.context, {context}"
            yield Problem(("model", "others", name), what)
    shape = model_shape(config["model"])
    if shape is None or shape.context is None:
        return
    probing = config["evaluations"].get("probing", {})
    contexts = {
        ("tokens", "context"): config["tokens"]["context"],
        ("evaluations", "probing", "context"): probing.get("context", 0),
    }
    for path, context in contexts.items():
        if context > shape.context:
            yield Problem(path, f"{context} is longer than the model's context of {shape.context}")


@needs_sections("evaluations")
def _concepts(config: dict[str, Any]) -> Iterator[Problem]:
    probing = config["evaluations"].get("probing")
    if probing is None:
        return
    source = probing["source"]
    if source != "embedded":
        yield from _texts(source, ("evaluations", "probing", "source"))
        if "label_field" not in probing:
            yield Problem(
                ("evaluations", "probing", "label_field"),
                "missing; name the column whose values are the concepts",
            )
        return
    wanted = sum(probing["examples"].values())
    for index, concept in enumerate(probing["concepts"]):
        path = ("evaluations", "probing", "concepts", index)
        data = CONCEPTS.get(concept)
        if data is None:
            yield Problem(path, f"no data for {show(concept)}; {suggest(concept, CONCEPTS)}")
        elif not installed(data):
            yield Problem(
                path,
                f"the data of {show(concept)} (set {data.number} of the sae-probes package) is not "
                "installed; install the environment again",
            )
        elif wanted > data.rows:
            yield Problem(
                path,
                f"{show(concept)} has {data.rows} examples, and train and test ask for {wanted}",
            )


CHECKS = (
    _store,
    _model_source,
    _embedded_model,
    _corpus_source,
    _parts,
    _model_part,
    _budgets,
    _contexts,
    _concepts,
)
