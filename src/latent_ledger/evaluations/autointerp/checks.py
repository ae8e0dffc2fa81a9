"""Do the sizes of auto-interp fit each other, and does every scorer know whom to ask?

delphi does not check any of this: it draws fewer examples than asked for, or loses prompts whose
number of examples is not the one it parses for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from latent_ledger.config.problems import Problem, needs_sections

NAME = "autointerp"
COMPARED = 10
"""Negatives that example embedding sets aside to compare with."""


NEEDS = {"lexical": (), "openai": ("base_url", "model"), "vllm": ("model",)}
"""What a scorer cannot do without, by its kind."""
SET_HERE = {
    "--model": "model",
    "--revision": "revision",
    "--dtype": "dtype",
    "--max-model-len": "max_model_len",
    "--gpu-memory-utilization": "gpu_memory_utilization",
    "--host": "",
    "--port": "",
    "--api-key": "",
    "--served-model-name": "",
}
"""Arguments of `vllm serve` that have a key of their own, or are the job's to choose."""


def _block(config: dict[str, Any]) -> dict[str, Any]:
    return config["evaluations"].get(NAME, {})


def _problem(key: str, what: str) -> Problem:
    return Problem(("evaluations", NAME, key), what)


@needs_sections("evaluations", "tokens")
def _windows(config: dict[str, Any]) -> Iterator[Problem]:
    block, context = _block(config), config["tokens"]["context"]
    if block and context % block["example_tokens"]:
        yield _problem(
            "example_tokens",
            f"{block['example_tokens']} tokens do not divide tokens.context, {context}",
        )


@needs_sections("evaluations")
def _sizes(config: dict[str, Any]) -> Iterator[Problem]:
    block = _block(config)
    if not block:
        return
    quantiles, shown = block["quantiles"], block["examples_shown"]
    for key in ("n_train", "n_test"):
        if block[key] % quantiles:
            yield _problem(key, f"{block[key]} is not a multiple of quantiles, {quantiles}")
        if block["min_examples"] < 2 * block[key]:
            yield _problem(
                "min_examples", f"{block['min_examples']} is less than twice {key}, {block[key]}"
            )
    asked = block["n_test"] + block["n_negatives"]
    if asked % shown:
        yield _problem("examples_shown", f"{shown} does not divide n_test + n_negatives, {asked}")
    if "intruder" in block["scores"] and block["n_test"] // quantiles < shown - 1:
        yield _problem(
            "quantiles",
            f"{quantiles} leave {block['n_test'] // quantiles} test examples in each, and an "
            f"intruder is shown among {shown - 1}; take fewer quantiles or more n_test",
        )
    if block["strata"] != sorted(block["strata"]):
        yield _problem("strata", "the cut points are not in ascending order")


@needs_sections("evaluations")
def _embedding(config: dict[str, Any]) -> Iterator[Problem]:
    block = _block(config)
    if not block.get("encoders"):
        return
    if block["n_negatives"] <= COMPARED:
        yield _problem(
            "n_negatives",
            f"example embedding needs more than {COMPARED}, not {block['n_negatives']}",
        )
    if block["n_train"] < COMPARED:
        yield _problem(
            "n_train", f"example embedding needs at least {COMPARED}, not {block['n_train']}"
        )
    if block["n_test"] < 2 * block["quantiles"]:
        yield _problem(
            "n_test", "example embedding compares within a quantile and needs two examples of each"
        )


@needs_sections("evaluations")
def _readers(config: dict[str, Any]) -> Iterator[Problem]:
    block = _block(config)
    for name, scorer in block.get("scorers", {}).items():
        path = ("evaluations", NAME, "scorers", name)
        backend = scorer["backend"]
        for key in NEEDS[backend]:
            if scorer[key] is None:
                yield Problem((*path, key), f"missing; a scorer of backend {backend} needs it")
        if backend == "vllm":
            yield from _served(path, scorer)
        if name in block["encoders"]:
            yield Problem(path, "this name is an encoder's too; choose another")
    if block and not block["scorers"] and not block["encoders"]:
        yield _problem("scorers", "there is no scorer and no encoder; name at least one")


def _served(path: tuple[str, ...], scorer: dict[str, Any]) -> Iterator[Problem]:
    """Keys that a server started by the job would ignore, or could not keep."""
    for key in ("base_url", "api_key_env"):
        if scorer[key] is not None:
            yield Problem((*path, key), "is for backend openai; a vllm scorer is served by the job")
    for argument in scorer["arguments"]:
        name = argument.partition("=")[0].replace("_", "-")
        if name in SET_HERE:
            own = SET_HERE[name]
            say = f"has a key of its own, {own}" if own else "is chosen by the job; leave it out"
            yield Problem((*path, "arguments"), f"{name} {say}")
    if scorer["max_tokens"] >= scorer["max_model_len"]:
        yield Problem(
            (*path, "max_tokens"),
            f"{scorer['max_tokens']} leave no room for a prompt in max_model_len, "
            f"{scorer['max_model_len']}",
        )


CHECKS = (_windows, _sizes, _embedding, _readers)
