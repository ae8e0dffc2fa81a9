"""Checks of sae_probes: its data sets, the model's context, and the width of its coders."""

from collections.abc import Iterator
from typing import Any

from latent_ledger.config.coder_specs import coders_measured_by
from latent_ledger.config.limits import within_context, within_width
from latent_ledger.config.problems import Problem, needs_sections
from latent_ledger.lib.suggestions import show, suggest
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
    context = config["evaluations"].get("sae_probes", {}).get("context", 0)
    yield from within_context(config, {("evaluations", "sae_probes", "context"): context})


@needs_sections("evaluations", "coders", "training")
def _top_k(config: dict[str, Any]) -> Iterator[Problem]:
    """No probe asks for more latents than the narrowest coder has."""
    widths = {spec.coder: spec.width for spec in coders_measured_by(config, "sae_probes")}
    top_k = config["evaluations"].get("sae_probes", {}).get("top_k", [])
    yield from within_width(("evaluations", "sae_probes", "top_k"), top_k, widths)


CHECKS = (_datasets, _context, _top_k)
