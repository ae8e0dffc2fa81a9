"""Checks of auto-interp: its sizes fit each other, and every scorer has the settings it needs.

delphi checks none of this: it draws fewer examples than requested, or loses prompts whose number of
examples differs from the one that it parses.
"""

from collections.abc import Iterator
from typing import Any

from latent_ledger.config.problems import Problem, needs_sections
from latent_ledger.config.schema_file import schema
from latent_ledger.evaluations.autointerp.protocol import COMPARED
from latent_ledger.lib.suggestions import comma_list
from latent_ledger.scorers.registry import SCORERS, kind_of

NAME = "autointerp"
WHERE = ("evaluations", NAME)


def _block(config: dict[str, Any]) -> dict[str, Any]:
    return config["evaluations"].get(NAME, {})


@needs_sections("evaluations", "tokens")
def _windows(config: dict[str, Any]) -> Iterator[Problem]:
    block, context = _block(config), config["tokens"]["context"]
    if block and context % block["example_tokens"]:
        what = f"{block['example_tokens']} tokens do not divide tokens.context, {context}"
        yield Problem((*WHERE, "example_tokens"), what)


@needs_sections("evaluations")
def _sizes(config: dict[str, Any]) -> Iterator[Problem]:
    block = _block(config)
    faults = [*_faults_of_prompts(block)] if block else []
    faults += [*_faults_of_embedding(block)] if block.get("encoders") else []
    for key, what in faults:
        yield Problem((*WHERE, key), what)


def _faults_of_prompts(block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    quantiles, shown = block["quantiles"], block["examples_shown"]
    for key in ("n_train", "n_test"):
        if block[key] % quantiles:
            yield key, f"{block[key]} is not a multiple of quantiles, {quantiles}"
        if (least := block["min_examples"]) < 2 * block[key]:
            yield "min_examples", f"{least} is less than twice {key}, {block[key]}"
    scored, each = block["n_test"] + block["n_negatives"], block["n_test"] // quantiles
    if scored % shown:
        yield "examples_shown", f"{shown} does not divide n_test + n_negatives, {scored}"
    if "intruder" in block["scores"] and each < shown - 1:
        yield (
            "quantiles",
            f"{quantiles} leave {each} test examples in each, and an intruder is shown among "
            f"{shown - 1}; take fewer quantiles or more n_test",
        )
    if block["strata"] != sorted(block["strata"]):
        yield "strata", "the cut points are not in ascending order"


def _faults_of_embedding(block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if (n := block["n_negatives"]) <= COMPARED:
        yield "n_negatives", f"example embedding needs more than {COMPARED}, not {n}"
    if (n := block["n_train"]) < COMPARED:
        yield "n_train", f"example embedding needs at least {COMPARED}, not {n}"
    if block["n_test"] < 2 * block["quantiles"]:
        what = "example embedding compares within a quantile and needs two examples of each"
        yield "n_test", what


@needs_sections("evaluations")
def _scorers(config: dict[str, Any]) -> Iterator[Problem]:
    block = _block(config)
    properties = schema()["properties"]["evaluations"]["properties"][NAME]["properties"]
    settings = properties["scorers"]["additionalProperties"]["properties"]
    for name, scorer in block.get("scorers", {}).items():
        path, backend = (*WHERE, "scorers", name), kind_of(scorer)
        for key in backend.needs:
            if scorer[key] is None:
                yield Problem((*path, key), f"missing; a scorer of backend {backend.name} needs it")
        for key, value in scorer.items():
            if key not in backend.settings and value != settings[key].get("default"):
                takers = comma_list(taker for taker, b in SCORERS.items() if key in b.settings)
                what = f"a scorer of backend {backend.name} does not take it"
                yield Problem((*path, key), f"is for backend {takers}; {what}")
        for key, message in backend.problems(scorer):
            yield Problem((*path, key), message)
        if name in block["encoders"]:
            yield Problem(path, "this name is an encoder's too; choose another")
    if block and not block["scorers"] and not block["encoders"]:
        what = "there is no scorer and no encoder; name at least one"
        yield Problem((*WHERE, "scorers"), what)


CHECKS = (_windows, _sizes, _scorers)
