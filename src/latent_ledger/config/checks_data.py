"""Checks of the store, the models, the texts and the labelled examples, and of their fit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latent_ledger.config.limits import within_context
from latent_ledger.config.problems import Check, Problem, Where, needs_sections
from latent_ledger.lib.suggestions import show, suggest
from latent_ledger.models.sources import checks as model_checks
from latent_ledger.models.sources.registry import find, shape
from latent_ledger.text.concept_sets import CONCEPTS
from latent_ledger.text.corpora import checks as corpus_checks
from latent_ledger.text.corpora import embedded
from latent_ledger.text.corpora.registry import source_of

RESERVED = ("figures", "records")
"""Folders of ``results/`` and of an experiment there; no experiment may have such a name."""


@needs_sections("experiment")
def _experiment(config: dict[str, Any]) -> Iterator[Problem]:
    name = config["experiment"]
    if name in RESERVED:
        what = f"{show(name)} is the name of a folder in results/; choose another"
        yield Problem(("experiment",), what)


@needs_sections("store")
def _store(config: dict[str, Any]) -> Iterator[Problem]:
    store = config["store"]
    path, results = Path(store).resolve(), Path("results").resolve()
    if store.startswith("~"):
        what = f"{show(store)}: ~ is not expanded here; write the whole path"
    elif results in (path, *path.parents):
        what = f"{show(store)} lies in results/, and the store must survive `rm -rf results`"
    elif any(folder.exists() and not folder.is_dir() for folder in (path, *path.parents)):
        what = f"{show(store)} is or lies below a file; name a folder"
    else:
        return
    yield Problem(("store",), what)


@needs_sections("model")
def _models(config: dict[str, Any]) -> Iterator[Problem]:
    for path, what in model_checks.problems(config["model"]):
        yield Problem(("model", *path), what)
    for name, other in config["model"]["others"].items():
        for path, what in model_checks.problems(other, trained=False):
            yield Problem(("model", "others", name, *path), what)


@needs_sections("corpus")
def _corpus_source(config: dict[str, Any]) -> Iterator[Problem]:
    for what in corpus_checks.problems(config["corpus"]["source"]):
        yield Problem(("corpus", "source"), what)


@needs_sections("corpus")
def _parts(config: dict[str, Any]) -> Iterator[Problem]:
    total = sum(config["corpus"]["parts"].values())
    if total > 1 + 1e-9:  # shares such as 0.7 + 0.2 + 0.1 sum to a little more than 1
        what = f"the shares sum to {total:.6g}, and must sum to at most 1"
        yield Problem(("corpus", "parts"), what)


@needs_sections("model", "corpus")
def _model_part(config: dict[str, Any]) -> Iterator[Problem]:
    origin = find(config["model"]["source"])
    if origin and origin.trained_on and origin.trained_on not in config["corpus"]["parts"]:
        what = f"missing; the {origin.name} model needs text to train on"
        yield Problem(("corpus", "parts", origin.trained_on), what)


@needs_sections("model", "tokens")
def _budgets(config: dict[str, Any]) -> Iterator[Problem]:
    context = config["tokens"]["context"]
    budgets: dict[Where, dict[str, int]] = {("tokens", "budget"): config["tokens"]["budget"]}
    for name, other in config["model"]["others"].items():
        budgets["model", "others", name, "tokens"] = other["tokens"]
    for path, token_sets in budgets.items():
        for token_set, budget in token_sets.items():
            if budget < context:
                what = f"{budget} tokens do not fill one context of {context}"
                yield Problem((*path, token_set), what)


@needs_sections("model", "tokens", "evaluations")
def _contexts(config: dict[str, Any]) -> Iterator[Problem]:
    context = config["tokens"]["context"]
    for name, other in config["model"]["others"].items():
        other_shape = shape(other)
        if other_shape and other_shape.context and context > other_shape.context:
            what = f"its context of {other_shape.context} is shorter than tokens.context, {context}"
            yield Problem(("model", "others", name), what)
    probing = config["evaluations"].get("probing", {}).get("context", 0)
    where = ("evaluations", "probing", "context")
    yield from within_context(config, {("tokens", "context"): context, where: probing})


@needs_sections("evaluations")
def _concepts(config: dict[str, Any]) -> Iterator[Problem]:
    probing = config["evaluations"].get("probing")
    if probing is None:
        return
    source, where = probing["source"], ("evaluations", "probing")
    if not source_of(source).named_concepts:
        for what in corpus_checks.problems(source):
            yield Problem((*where, "source"), what)
        if "label_field" not in probing:
            what = "missing; name the column whose values are the concepts"
            yield Problem((*where, "label_field"), what)
        return
    examples = sum(probing["examples"].values())
    for index, concept in enumerate(probing["concepts"]):
        data = CONCEPTS.get(concept)
        if data is None:
            what = f"no data for {show(concept)}; {suggest(concept, CONCEPTS)}"
        elif not embedded.installed(data.number):
            what = (
                f"the data of {show(concept)} (set {data.number} of the sae-probes package) is not "
                "installed; install the environment again"
            )
        elif examples > data.rows:
            asked = f"train and test ask for {examples}"
            what = f"{show(concept)} has {data.rows} examples, and {asked}"
        else:
            continue
        yield Problem((*where, "concepts", index), what)


CHECKS = tuple(check for check in vars().values() if isinstance(check, Check))
"""Every check above."""
