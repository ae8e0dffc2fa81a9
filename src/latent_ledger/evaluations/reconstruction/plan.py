"""Reconstruction: how faithfully does each coder rebuild its target?"""

from __future__ import annotations

from latent_ledger.artifacts.store import Payload
from latent_ledger.config.coder_specs import CoderSpec
from latent_ledger.evaluations.formatting import count, interval, per_coder, share
from latent_ledger.planning import paths
from latent_ledger.planning.coders import measured, way_to_codes
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Finding,
    Jobs,
    RowPlan,
    Settings,
    Stage,
    coder,
    coder_columns,
    coders_measured_by,
    dataset,
    metrics_of,
    named,
    without,
)
from latent_ledger.planning.text import slice_settings

NAME = "reconstruction"
SPLIT = "evaluation"


def on_slices(config: Config) -> list[tuple[str, CoderSpec]]:
    """(slice, coder) of the coders that are measured on a slice of the corpus as well."""
    block = config["evaluations"].get(NAME)
    return [
        (name, coder(config, one))
        for name, coders in (block["slices"] if block else {}).items()
        for one in coders
    ]


def measured_on(config: Config) -> list[tuple[str, CoderSpec]]:
    """(token set, coder) of everything that is measured."""
    return [(SPLIT, one) for one in coders_measured_by(config, NAME)] + on_slices(config)


def on_slice(name: str, of: str) -> str:
    """The reconstruction of a coder on a slice of the corpus."""
    return f"results/reconstruction_slices/{name}/{of}.json"


def token_sets(config: Config) -> dict[str, tuple[str, Settings]]:
    """One document of a slice per row, its beginning."""
    slices = config["corpus"]["slices"]
    return {
        name: (
            paths.corpus_slice(name),
            {"layout": "examples", "keep": "beginning", "context": slices[name]["context"]},
        )
        for name in dict.fromkeys(name for name, _ in on_slices(config))
    }


def captures(config: Config) -> set[Capture]:
    """Both hook points of every measured coder's site."""
    return {
        Capture(split, one.model, hook_point)
        for split, one in measured_on(config)
        for hook_point in one.site.hook_points
    }


def codes(config: Config) -> set[tuple[str, str]]:
    """Codes of the evaluation part, and of the slices."""
    return {(split, one.name) for split, one in measured_on(config)}


def jobs(config: Config) -> Jobs:
    """The evaluation's own block and the coder's architecture, which decides what is spliced."""
    found: Jobs = {
        paths.corpus_slice(name): ("corpus_slice", slice_settings(config, name))
        for name in token_sets(config)
    }
    for split, one in measured_on(config):
        own = without(config["evaluations"][NAME], "select", "slices")
        found[path_of(split, one)] = (NAME, {**own, "architecture": one.architecture})
    return found


def path_of(split: str, one: CoderSpec) -> str:
    """The manifest of a coder's reconstruction over a token set."""
    return paths.evaluation(NAME, one.name) if split == SPLIT else on_slice(split, one.name)


def nulls(one: CoderSpec) -> str:
    """The gate of the metrics at the hook point that a coder should rebuild."""
    return paths.gate("nulls", f"{NAME}/{paths.over(str(one.site.output_hook), one.base)}")


def rows(config: Config) -> list[RowPlan]:
    """One row per coder, behind the nulls of the hook point it should rebuild; then those on
    slices.
    """
    found = measured(config, NAME, SPLIT, "recon", gates=lambda one: [nulls(one)])
    for name, one in on_slices(config):
        path = on_slice(name, one.name)
        columns = {**coder_columns(config, one, NAME), "dataset": dataset(config, name)}
        needs = [*way_to_codes(one, name), nulls(one), path]
        run_id = f"recon-{one.name}-on-{name}"
        found.append(RowPlan(run_id, NAME, path, columns, needs=needs))
    return found


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
    columns = {
        "sparsity": f"{row.columns['sparsity']}, L0={l0['estimate']:.1f}",
        "tokens": f"{payload.facts['tokens']:,}",
    }
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
    token_sets=token_sets,
)
