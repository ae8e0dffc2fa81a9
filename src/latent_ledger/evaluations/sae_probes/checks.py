"""Checks of sae_probes: its data sets exist, and its texts fit the model's context."""

from collections.abc import Iterator
from typing import Any

from latent_ledger.config.problems import Problem, needs_sections
from latent_ledger.lib.suggestions import show, suggest
from latent_ledger.models.sources.registry import shape as model_shape
from latent_ledger.text.corpora import embedded


@needs_sections("evaluations")
def _datasets(config: dict[str, Any]) -> Iterator[Problem]:
    """Every data set is a file of the installed package."""
    block = config["evaluations"].get("sae_probes")
    if block is None:
        return
    known = sorted(path.name.removesuffix(".csv.zst") for path in embedded.folder().glob("*.zst"))
    for index, name in enumerate(block["datasets"]):
        if name not in known:
            yield Problem(
                ("evaluations", "sae_probes", "datasets", index),
                f"sae_probes has no data set {show(name)}; {suggest(name, known)}",
            )


@needs_sections("model", "evaluations")
def _context(config: dict[str, Any]) -> Iterator[Problem]:
    block, shape = config["evaluations"].get("sae_probes"), model_shape(config["model"])
    if block is None or shape is None or shape.context is None:
        return
    if block["context"] > shape.context:
        yield Problem(
            ("evaluations", "sae_probes", "context"),
            f"{block['context']} is longer than the model's context of {shape.context}",
        )


CHECKS = (_datasets, _context)
