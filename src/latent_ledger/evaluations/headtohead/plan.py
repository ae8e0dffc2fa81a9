"""Head to head: which coder is better, and by how much?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.config.coder_specs import pairs as met_pairs
from latent_ledger.evaluations.autointerp import plan as autointerp
from latent_ledger.evaluations.formatting import count, digits_for, interval, table
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Config,
    Finding,
    Jobs,
    RowPlan,
    Settings,
    Stage,
    by_name,
    coder,
    coder_columns,
    dataset,
    metrics_of,
)
from latent_ledger.planning.text import budget

NAME = "headtohead"


def pairs(config: Config, family: str) -> list[tuple[str, str]]:
    """Names of the coders a family compares: declared pairs at equal k and seed."""
    return [(one.name, other.name) for one, other in met_pairs(config, family)]


def source(metric: str) -> str:
    """The evaluation whose manifests hold a metric; each reader of auto-interp has its own."""
    evaluation, _, name = metric.partition(".")
    return autointerp.source(name) if evaluation == autointerp.NAME else evaluation


def compared(config: Config, family: str) -> dict[str, list[str]]:
    """Source -> manifests of it that a family reads."""
    metrics = config["comparisons"]["families"][family]["metrics"]
    names = sorted({name for pair in pairs(config, family) for name in pair})
    return {
        place: [paths.evaluation(place, name) for name in names]
        for place in dict.fromkeys(map(source, metrics))
    }


def settings(config: Config, family: str) -> Settings:
    """The declared contrasts, and the recipe fields in which fair opponents must agree."""
    comparisons = config["comparisons"]
    declared = comparisons["families"][family]
    chosen = pairs(config, family)
    return {
        **({"match": declared["match"]} if "match" in declared else {}),
        "metrics": declared["metrics"],
        "sources": {metric: source(metric) for metric in declared["metrics"]},
        "pairs": [list(pair) for pair in chosen],
        "allow_unfair": allowed(config, family),
        "resamples": comparisons["resamples"],
        "level": comparisons["level"],
        "seed": comparisons["seed"],
        "recipes": {
            name: fairness(config, name) for name in sorted({n for pair in chosen for n in pair})
        },
    }


def fairness(config: Config, name: str) -> Settings:
    """Everything two coders must share for their difference to mean anything.

    Of a pretrained coder only what it is and where it comes from are known.
    """
    spec = coder(config, name)
    known = {key: getattr(spec, key) for key in ("width", "model", "weights")}
    if spec.pretrained:
        return {**known, "source": spec.source}
    return {
        "corpus": config["corpus"]["source"],
        "token budget": budget(config, "coder", spec.base),
        **known,
        "k": spec.k,
        "seed": spec.seed,
        **spec.recipe,
    }


def allowed(config: Config, family: str) -> list[Any]:
    """Fields in which a family's coders may differ; `source` covers all of a pretrained recipe."""
    entries: list[Any] = list(config["comparisons"]["families"][family].get("allow_unfair") or [])
    if "source" not in entries:
        return entries
    for one, other in met_pairs(config, family):
        if one.pretrained != other.pretrained:
            sides = [fairness(config, each.name) for each in (one, other)]
            fields = sorted({*sides[0]} ^ {*sides[1]})
            entries.append({"pair": [one.name, other.name], "fields": fields})
    return entries


def jobs(config: Config) -> Jobs:
    """One job per family of contrasts."""
    return {
        paths.evaluation(NAME, family): (NAME, settings(config, family))
        for family in config["comparisons"]["families"]
    }


def rows(config: Config) -> list[RowPlan]:
    """One row per declared contrast."""
    found = []
    for family, declared in config["comparisons"]["families"].items():
        path = paths.evaluation(NAME, family)
        inputs = [
            manifest for manifests in compared(config, family).values() for manifest in manifests
        ]
        for metric in declared["metrics"]:
            evaluation, _, short = metric.partition(".")
            for left, right in met_pairs(config, family):
                a, b = left.name, right.name
                columns = {
                    **coder_columns(config, left),
                    "hookpoint": f"{left.site} vs {right.site}",
                    "coder_type": f"head-to-head ({family})",
                    "dataset": dataset(config, SPLITS.get(evaluation, evaluation)),
                }
                own = [paths.evaluation(source(metric), name) for name in (a, b)]
                needs = [*own, *inputs, path]  # one job for the family: it waits for all of them
                what = short.replace("_", "-").replace("/", "-")
                what += "-matched" if "match" in declared else ""
                run_id = f"h2h-{what}-{left.coder}-vs-{b}"
                name = f"{metric}: {a} - {b}"
                found.append(RowPlan(run_id, NAME, path, columns, metric=name, needs=needs))
    return found


SPLITS = {
    "reconstruction": "evaluation",
    "latents": "evaluation",
    "circuits": "probing",
    "steering": "probing",
    "saebench": "probing",
    "autointerp": "scoring",
    "sae_probes": "sae-probes",
}
"""Token set an evaluation is measured on, where it has not the evaluation's name."""


def read(row: RowPlan, payload: Payload) -> Finding:
    """One contrast, with its tests beside it."""
    contrast = by_name(metrics_of(payload), row.metric or "", row.run_id)
    if contrast["not_made"]:
        text = f"{row.metric} has no number: {contrast['not_made']}"
        return Finding(text, main=contrast, null=0.0, metrics=[dict(contrast)])
    how = pairing(contrast)
    text = (
        f"{row.metric} = {interval(contrast, signed=True, digits=digits_for(contrast))} "
        f"({how}, {count(contrast)}; p={contrast['p']:.2g}, Holm {contrast['p_holm']:.2g})"
    )
    beside = [
        f"{name} p={contrast[key]:.2g}"
        for name, key in (("Welch", "p_welch"), ("Mann-Whitney", "p_mannwhitney"))
        if contrast.get(key) is not None
    ]
    low, high = contrast["bca"]
    notes = "; ".join([f"BCa [{low:+.3f}, {high:+.3f}]", *beside]) + "."
    if contrast.get("unfair"):
        notes += (
            f" The coders differ in {', '.join(contrast['unfair'])}, as the configuration allows."
        )
    return Finding(text, main=contrast, null=0.0, notes=notes, metrics=[dict(contrast)])


def pairing(contrast: Any) -> str:
    """How the two coders' units were set against each other."""
    if contrast["matched_on"]:
        return f"matched on {contrast['matched_on']}"
    return "paired" if contrast["paired"] else "unpaired"


def family_of(values: Mapping[str, Any]) -> str:
    """The family that a row's contrast was declared in, from its columns."""
    return values["coder_type"].partition("(")[2].removesuffix(")")


def section(current: list[Any]) -> str:
    """The ledger's table of all contrasts."""
    lines = []
    for row in current:
        if row.row_type != NAME or not row.metrics:
            continue
        contrast = row.metrics[0]
        metric, _, pair = contrast["name"].partition(": ")
        if contrast["not_made"]:
            told = ("", "", f"none: {contrast['not_made']}")
        else:
            told = (
                interval(contrast, signed=True, digits=digits_for(contrast)),
                f"{contrast['p_holm']:.2g}",
                f"{pairing(contrast)}, {count(contrast)[2:]}",
            )
        lines.append(
            (
                family_of(row.values),
                metric.partition(".")[2].replace("_", " "),
                pair,
                *told,
                row.label,
            )
        )
    if not lines:
        return ""
    header = ("family", "metric", "contrast", "difference [95% CI]", "p (Holm)", "units", "verdict")
    return (
        "## Head to head\n\nEvery declared contrast, whether it flatters or not. A verdict is "
        "*inconclusive* when the interval includes 0 or Holm's correction over its family says "
        "so. Families named *controls* say what is left of a number where there was nothing to "
        "be learnt. Latents of two coders are not the same units: they stay unpaired, or are "
        "matched one to one on how often they fire. An interval answers for other documents, "
        "examples or latents, not for another training run: what you build on deserves a second "
        "seed, of the coders and of the model; `latent-ledger compare` lays the ledgers side by "
        "side.\n\n" + table(header, lines, (3, 4))
    )


STAGE = Stage(NAME, jobs=jobs, rows=rows, readers={NAME: read}, section=section)
