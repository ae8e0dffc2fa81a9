"""Rows of probing, read from their payloads, and their section of the ledger."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.formatting import count, interval, per_coder
from latent_ledger.evaluations.probing.plan import NAME
from latent_ledger.planning.stage import Finding, RowPlan, metrics_of, named


def sizes(names: Iterable[str]) -> list[int]:
    """The numbers of latents that were probed for all concepts, ascending."""
    top = re.compile(r"accuracy_top(\d+)")
    return sorted(int(match[1]) for match in map(top.fullmatch, names) if match)


def read(row: RowPlan, payload: Payload) -> Finding:
    """Accuracy on all latents as the main metric; sparse probes, baselines and gaps in the text."""
    metrics = metrics_of(payload)
    by = named(metrics)
    accuracy = by["accuracy_all"]
    sparse = ", ".join(f"k={k} {by[f'accuracy_top{k}']['estimate']:.3f}" for k in sizes(by))
    text = (
        f"accuracy {interval(accuracy)}, AUROC {interval(by['auroc_all'])} ({count(accuracy)}); "
        f"sparse probes: {sparse}; raw site {by['accuracy_raw']['estimate']:.3f}, "
        f"bag of tokens {by['accuracy_bag_of_tokens']['estimate']:.3f}; "
        f"codes - raw {interval(by['gap_raw_all'], signed=True)}, "
        f"codes - bag of tokens {interval(by['gap_bag_all'], signed=True)}"
    )
    return Finding(text, main=accuracy, null=0.5, metrics=metrics)


def section(current: Sequence[Any]) -> str:
    """The ledger's table of all coders."""
    return per_coder(
        current,
        NAME,
        "## Do the codes carry what the text is about?\n\n"
        "Test accuracy of logistic probes, pooled over concepts; chance is 0.5. The gaps are "
        "paired over test examples; a negative gap means the baseline wins.",
        {
            "all latents": lambda m: interval(m["accuracy_all"]),
            "top 1": lambda m: interval(m["accuracy_top1"]) if "accuracy_top1" in m else "",
            "top 5": lambda m: interval(m["accuracy_top5"]) if "accuracy_top5" in m else "",
            "AUROC": lambda m: interval(m["auroc_all"]),
            "codes - raw site": lambda m: interval(m["gap_raw_all"], signed=True),
            "codes - bag of tokens": lambda m: interval(m["gap_bag_all"], signed=True),
            "n": lambda m: count(m["accuracy_all"])[2:],
        },
    )
