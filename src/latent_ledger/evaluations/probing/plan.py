"""Probing: do the codes carry what the text is about?"""

from __future__ import annotations

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.formatting import count, interval, per_coder
from latent_ledger.planning import paths
from latent_ledger.planning.coders import measured
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Finding,
    Jobs,
    RowPlan,
    Settings,
    Stage,
    coders_measured_by,
    metrics_of,
    named,
)

NAME = "probing"
SPLIT = "probing"
OWN = ("concepts", "top_k", "resamples", "seed")
"""Settings of the evaluation itself; the others are about the draw of examples."""


def token_sets(config: Config) -> dict[str, tuple[str, Settings]]:
    """One labelled example per row."""
    if NAME not in config["evaluations"]:
        return {}
    context = config["evaluations"][NAME]["context"]
    return {SPLIT: (paths.CONCEPTS, {"layout": "examples", "context": context})}


def captures(config: Config) -> set[Capture]:
    """What the coders read; probing never looks at a coder's target."""
    return {
        Capture(SPLIT, one.model, one.site.input_hook) for one in coders_measured_by(config, NAME)
    }


def codes(config: Config) -> set[tuple[str, str]]:
    """Codes of the labelled examples."""
    return {(SPLIT, one.name) for one in coders_measured_by(config, NAME)}


def jobs(config: Config) -> Jobs:
    """The evaluation's own block, without what only the draw of examples needs."""
    return {
        paths.evaluation(NAME, one.name): (
            NAME,
            {key: config["evaluations"][NAME][key] for key in OWN},
        )
        for one in coders_measured_by(config, NAME)
    }


def rows(config: Config) -> list[RowPlan]:
    """One row per coder, behind the nulls of the hook point it reads."""
    return measured(
        config,
        NAME,
        SPLIT,
        "probe",
        gates=lambda one: [paths.gate("nulls", f"{NAME}/{one.site.input_hook}")],
    )


def read(row: RowPlan, payload: Payload) -> Finding:
    """Accuracy on all latents first; beside it sparse probes, baselines and gaps."""
    metrics = metrics_of(payload)
    by = named(metrics)
    accuracy = by["accuracy_all"]
    sparse = ", ".join(
        f"k={name.removeprefix('accuracy_top')} {by[name]['estimate']:.3f}"
        for name in sorted(by)
        if name.startswith("accuracy_top") and "/" not in name
    )
    text = (
        f"accuracy {interval(accuracy)}, AUROC {interval(by['auroc_all'])} ({count(accuracy)}); "
        f"sparse probes: {sparse}; raw site {by['accuracy_raw']['estimate']:.3f}, "
        f"bag of tokens {by['accuracy_bag_of_tokens']['estimate']:.3f}; "
        f"codes - raw {interval(by['gap_raw_all'], signed=True)}, "
        f"codes - bag of tokens {interval(by['gap_bag_all'], signed=True)}"
    )
    return Finding(text, main=accuracy, null=0.5, metrics=metrics)


def section(current) -> str:
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


STAGE = Stage(
    NAME,
    jobs=jobs,
    rows=rows,
    readers={NAME: read},
    section=section,
    captures=captures,
    codes=codes,
    token_sets=token_sets,
)
