"""Reconstruction: how faithfully does each coder rebuild its target?"""

from __future__ import annotations

from latent_ledger.stages import paths
from latent_ledger.stages.base import (
    Capture,
    Config,
    Finding,
    Jobs,
    RowPlan,
    Stage,
    chosen,
    metrics_of,
    named,
    without,
)
from latent_ledger.stages.coders import measured
from latent_ledger.stages.words import count, interval, per_coder, share
from latent_ledger.store import Payload

NAME = "reconstruction"
SPLIT = "evaluation"


def captures(config: Config) -> set[Capture]:
    """Both taps of every chosen coder's site."""
    return {Capture(SPLIT, one.model, tap) for one in chosen(config, NAME) for tap in one.site.taps}


def codes(config: Config) -> set[tuple[str, str]]:
    """Codes of the evaluation part."""
    return {(SPLIT, one.name) for one in chosen(config, NAME)}


def jobs(config: Config) -> Jobs:
    """The evaluation's own block and the kind of coder, which decides what is spliced."""
    return {
        paths.evaluation(NAME, one.name): (
            NAME,
            {**without(config["evaluations"][NAME], "at"), "kind": one.kind},
        )
        for one in chosen(config, NAME)
    }


def rows(config: Config) -> list[RowPlan]:
    """One row per coder, behind the nulls of the tap it should rebuild."""
    return measured(
        config,
        NAME,
        SPLIT,
        "recon",
        gates=lambda one: [paths.gate("nulls", f"{NAME}/{one.site.writes}")],
    )


def read(row: RowPlan, payload: Payload) -> Finding:
    """Variance explained first; beside it what the splice costs, and how latents are used."""
    metrics = metrics_of(payload)
    by = named(metrics)
    ve, l0, recovered = by["variance_explained"], by["l0"], by["loss_recovered"]
    text = (
        f"variance explained {interval(ve)} ({count(ve)}; "
        f"{interval(by['variance_explained_with_bos'])} with BOS); "
        f"loss recovered {interval(recovered)} ({count(recovered)}); "
        f"KL {interval(by['kl'], digits=4)} nats/token; cosine {interval(by['cosine'])}; "
        f"dead {share(by['dead_share'])}, dense "
        f"{share(by['dense_share'])} of {by['dead_share']['n']:,} latents"
    )
    columns = {"sparsity": f"{row.columns['sparsity']}, L0={l0['estimate']:.1f}"}
    return Finding(text, main=ve, null=0.0, columns=columns, metrics=metrics)


def section(current) -> str:
    """The ledger's table of all coders."""
    return per_coder(
        current,
        NAME,
        "## How faithfully does each coder rebuild its target?\n\n"
        "Variance explained is 1 - FVU on the coder's own target without BOS; loss recovered is "
        "measured with the coder spliced into the model. Intervals: 95%, bootstrap over documents. "
        "Coders with different targets are not comparable by variance explained alone.",
        {
            "variance explained": lambda m: interval(m["variance_explained"]),
            "loss recovered": lambda m: interval(m["loss_recovered"]),
            "KL (nats/token)": lambda m: interval(m["kl"], digits=4),
            "L0": lambda m: f"{m['l0']['estimate']:.1f}",
            "dead": lambda m: share(m["dead_share"]),
            "dense": lambda m: share(m["dense_share"]),
            "n": lambda m: count(m["variance_explained"])[2:],
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
)
