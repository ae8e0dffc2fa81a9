"""The backend ``vllm``: a model that each job serves on its GPU; answers are kept."""

from collections.abc import Iterator, Mapping
from typing import Any

from latent_ledger.resources.transformer import Architecture
from latent_ledger.resources.work import MB, Work
from latent_ledger.scorers.kind import Questions, ScorerKind, Serving, waiting
from latent_ledger.scorers.openai.entry import ASKED

SERVER_START = 150.0
"""Seconds until `vllm serve` answers: weights, compilation, CUDA graphs."""
KEYS = ("revision", "dtype", "max_model_len", "gpu_memory_utilization")
"""Settings that, with the model, are arguments of `vllm serve` of the same name."""
SET_HERE = {f"--{key.replace('_', '-')}": key for key in ("model", *KEYS)} | dict.fromkeys(
    ("--host", "--port", "--api-key", "--served-model-name"), ""
)
"""Arguments of `vllm serve` that have a key of their own, or that the job chooses (no key)."""


def label(settings: Mapping[str, Any]) -> str:
    """The model, and its revision where one is fixed."""
    revision = settings["revision"]
    return settings["model"] + (f" at {revision[:12]}" if revision else "")


def serving(settings: Mapping[str, Any]) -> Serving:
    """How `vllm serve` is started."""
    return Serving(settings["dtype"], settings["max_model_len"], settings["gpu_memory_utilization"])


def cost(settings: Mapping[str, Any], questions: Questions, model: Architecture | None) -> Work:
    """Prompts are read at full speed; answers come token by token, in batches."""
    if model is None:
        return waiting(settings, questions)
    # Answers arrive while other prompts are read, so that a batch is full a quarter of the time.
    together = max(1.0, settings["concurrency"] / 4)
    weights = model.weights_bytes(settings["dtype"])
    return Work(
        forward=questions.prompts * questions.length * model.operations(),
        steps=questions.prompts * questions.answer / together,
        weights=weights,
        disk=weights,
        seconds=SERVER_START,
        host_mb=weights / MB,
    )


def problems(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Arguments that the job sets itself, and a context that an answer fills."""
    for argument in settings["arguments"]:
        name = argument.partition("=")[0].replace("_", "-")
        if name in SET_HERE:
            key = SET_HERE[name]
            say = f"has a key of its own, {key}" if key else "is chosen by the job; leave it out"
            yield "arguments", f"{name} {say}"
    if settings["max_tokens"] >= settings["max_model_len"]:
        yield (
            "max_tokens",
            f"{settings['max_tokens']} leave no room for a prompt in max_model_len, "
            f"{settings['max_model_len']}",
        )


KIND = ScorerKind(
    name="vllm",
    label=label,
    cost=cost,
    needs=("model",),
    takes=(*KEYS, "arguments", "startup_timeout", *ASKED),
    serving=serving,
    environment="scorer",
    problems=problems,
)
