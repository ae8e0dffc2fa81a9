"""Rows of steering, read from their payloads, and their section of the ledger."""

from collections.abc import Mapping, Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.formatting import count, interval, per_coder
from latent_ledger.evaluations.steering.plan import NAME
from latent_ledger.planning.stage import Finding, Metric, RowPlan, metrics_of, named


def read(row: RowPlan, payload: Payload) -> Finding:
    """Latent minus difference of means, the declared contrast, as the main metric."""
    metrics, facts = metrics_of(payload), payload.facts
    by = named(metrics)
    gap = by["gap_dom"]
    text = (
        f"latent - difference of means {interval(gap, signed=True)} ({count(gap)}); "
        f"success: latent {interval(by['success_latent'])}, difference of means "
        f"{interval(by['success_dom'])}, random {interval(by['success_random'])}, unsteered "
        f"{interval(by['success_baseline'])}; latent - unsteered "
        f"{_tested(by['effect_latent'])}, latent - random {_tested(by['gap_random'])}, "
        f"difference of means - random {_tested(by['gap_dom_random'])}; "
        f"bag-of-tokens judge: latent - difference of means "
        f"{interval(by['gap_dom_bag'], signed=True)}"
    )
    summary = "; ".join(
        concept_line(concept, values, by) for concept, values in facts["concepts"].items()
    )
    notes = (
        f"Steered at {facts['steered_at']} (RMS {facts['rms']:.1f}), judged at "
        f"{facts['judged_at']}; perplexity at most {facts['perplexity_cap']:g} x unsteered. "
        f"{summary}."
    )
    return Finding(text, main=gap, null=0.0, notes=notes, metrics=metrics)


def concept_line(concept: str, facts: Mapping[str, Any], by: Mapping[str, Metric]) -> str:
    """Prompt, latent and coefficients of a concept, and the accuracy of its judges."""
    coefficients, right = facts["coefficients"], by[f"judge_accuracy/{concept}"]
    chance = ", no better than chance" if right["ci"][0] <= 0.5 else ""
    arms = {"latent": "latent", "dom": "difference of means", "random": "random"}
    listed = ", ".join(
        f"{title} {coefficients[arm]:g}" + ("" if coefficients[arm] else " (none admissible)")
        for arm, title in arms.items()
    )
    return (
        f"{concept}: prompt '{facts['prompt']}' (perplexity {facts['baseline_perplexity']:.1f}), "
        f"latent {facts['latent']}, coefficients {listed}, judge right on "
        f"{interval(right)} of test examples{chance} (bag of tokens {facts['bag_accuracy']:.3f})"
    )


def section(current: Sequence[Any]) -> str:
    """The ledger's table of all coders."""
    return per_coder(
        current,
        NAME,
        "## Can the model be steered by a latent?\n\n"
        "Share of generated texts that a concept probe takes for the concept, when a direction is "
        "added at the coder's output hook: the decoder direction of the concept's best latent, the "
        "difference of means of the raw activations, or random directions. The probe reads the "
        "text back in the unsteered model. Coefficients are chosen on one half of the generations, "
        "among those that keep perplexity within the cap; the other half is reported. Gaps are "
        "paired by generation, on common random numbers.",
        {
            "latent": lambda m: interval(m["success_latent"]),
            "difference of means": lambda m: interval(m["success_dom"]),
            "random": lambda m: interval(m["success_random"]),
            "unsteered": lambda m: f"{m['success_baseline']['estimate']:.3f}",
            "latent - unsteered": lambda m: interval(m["effect_latent"], signed=True),
            "latent - diff. of means": lambda m: interval(m["gap_dom"], signed=True),
            "latent - random": lambda m: interval(m["gap_random"], signed=True),
            "n": lambda m: count(m["gap_dom"])[2:],
        },
    )


def _tested(contrast: Metric) -> str:
    """A contrast with Holm's p beside it."""
    return f"{interval(contrast, signed=True)} (Holm p={contrast['p_holm']:.2g})"
