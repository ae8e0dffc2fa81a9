"""The sparse coders: one training job per instance, all with one recipe."""

from __future__ import annotations

from collections.abc import Callable

from latent_ledger.config import CoderInstance, chosen, instances
from latent_ledger.stages import paths
from latent_ledger.stages.base import (
    Capture,
    Config,
    Finding,
    Jobs,
    RowPlan,
    Stage,
    coder_columns,
    dataset,
)
from latent_ledger.store import Payload


def captures(config: Config) -> set[Capture]:
    """Both taps of every coder's site, over the coders' part of the corpus."""
    return {
        Capture("coder", instance.model, tap)
        for instance in instances(config)
        for tap in instance.site.taps
    }


def jobs(config: Config) -> Jobs:
    """One training job per coder instance."""
    return {
        paths.coder(instance.name): ("train_coder", instance.settings)
        for instance in instances(config)
    }


def way_to(instance) -> list[str]:
    """Manifests on the way to a trained coder, in order."""
    return [
        paths.model(instance.model),
        paths.tokens("coder"),
        *(paths.activations("coder", tap, instance.model) for tap in instance.site.taps),
        paths.coder(instance.name),
    ]


def way_to_codes(instance, split: str) -> list[str]:
    """Manifests on the way to a coder's codes over a token set, in order.

    The gate of the coder's reader, on the evaluation part, comes before any of its codes.
    """
    reads, gate = instance.site.reads, paths.gate("reader", instance.name)
    way = [*way_to(instance)]
    for part, ends in (("evaluation", gate), (split, paths.codes(split, instance.name))):
        way += [paths.tokens(part), paths.activations(part, reads, instance.model), ends]
    return list(dict.fromkeys(way))


def measured(
    config: Config,
    evaluation: str,
    split: str,
    prefix: str,
    gates: Callable[[CoderInstance], list[str]] = lambda _: [],
) -> list[RowPlan]:
    """One row per coder that an evaluation measures on its codes, named ``<prefix>-<coder>``.

    `gates` gives the manifests, besides the codes, without which there is no number.
    """
    return [
        RowPlan(
            f"{prefix}-{one.name}",
            evaluation,
            paths.evaluation(evaluation, one.name),
            {**coder_columns(config, one, evaluation), "dataset": dataset(config, split)},
            needs=[
                *way_to_codes(one, split),
                *gates(one),
                paths.evaluation(evaluation, one.name),
            ],
        )
        for one in chosen(config, evaluation)
    ]


def rows(config: Config) -> list[RowPlan]:
    """One row per trained coder."""
    budget = f"{config['tokens']['budget']['coder']:,}"
    return [
        RowPlan(
            f"train-{one.name}",
            "train",
            paths.coder(one.name),
            {
                **coder_columns(config, one),
                "dataset": dataset(config, "coder"),
                "tokens": budget,
            },
            needs=way_to(one),
        )
        for one in instances(config)
    ]


def read(row: RowPlan, payload: Payload) -> Finding:
    """Training FVU, the share of silent latents and, for a control, what it was kept from."""
    facts = payload.facts
    text = (
        f"training FVU {facts['fvu']:.3f} over the last tenth of {facts['steps']:,} steps; "
        f"{100 * facts['dead_share']:.1f}% of latents silent (n={facts['tokens']:,} tokens)"
    )
    notes = ""
    if "decoder_cosine" in facts:
        least, mean = (facts["decoder_cosine"][name] for name in ("least", "mean"))
        notes = (
            f"Control: learnt {', '.join(facts['learnt'])}; cosine of the decoder's rows with "
            f"themselves as drawn {mean:.3f} on average, {least:.3f} at least."
        )
    if "units" in facts:
        notes = (
            f"Control: trained on activations divided by {facts['units']['reads']:g} (read) and "
            f"{facts['units']['writes']:g} (written), the sizes they have in this model."
        )
    return Finding(text, notes=notes, columns={"tokens": f"{facts['tokens']:,}"})


STAGE = Stage("coders", jobs=jobs, rows=rows, readers={"train": read}, captures=captures)
