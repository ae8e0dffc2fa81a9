"""Planning of the head-to-heads: one job per family, one row per declared contrast."""

from collections.abc import Mapping
from typing import Any

from latent_ledger.config.coder_specs import CoderSpec, coder_specs, fair_fields
from latent_ledger.config.coder_specs import pairs as coder_pairs
from latent_ledger.evaluations.autointerp import plan as autointerp
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Config,
    Jobs,
    PlannedJob,
    RowPlan,
    Settings,
    coder_columns,
    dataset,
)
from latent_ledger.planning.text import budget

NAME = "headtohead"


def pairs(config: Config, family: str) -> list[tuple[str, str]]:
    """Names of the coders a family compares: declared pairs at equal k and seed."""
    return [(left.name, right.name) for left, right in coder_pairs(config, family)]


def source(metric: str) -> str:
    """Name of the evaluation that holds a metric; auto-interp has one per scorer and encoder."""
    evaluation, _, name = metric.partition(".")
    return autointerp.source(name) if evaluation == autointerp.NAME else evaluation


def manifests(config: Config, family: str) -> dict[str, list[str]]:
    """Source of a metric -> the manifests that a family reads from it."""
    metrics = config["comparisons"]["families"][family]["metrics"]
    names = sorted({name for pair in pairs(config, family) for name in pair})
    return {
        evaluation: [paths.evaluation(evaluation, name) for name in names]
        for evaluation in dict.fromkeys(map(source, metrics))
    }


def settings(config: Config, family: str, coders: Mapping[str, CoderSpec]) -> Settings:
    """The declared contrasts, and the recipe fields in which the coders of a pair must agree."""
    comparisons = config["comparisons"]
    declared = comparisons["families"][family]
    names = pairs(config, family)
    return {
        **({"match": declared["match"]} if "match" in declared else {}),
        "metrics": declared["metrics"],
        "sources": {metric: source(metric) for metric in declared["metrics"]},
        "pairs": [list(pair) for pair in names],
        "allow_unfair": allowed_differences(config, family),
        "resamples": comparisons["resamples"],
        "level": comparisons["level"],
        "seed": comparisons["seed"],
        "recipes": {
            name: fairness(config, coders[name])
            for name in sorted({name for pair in names for name in pair})
        },
    }


def fairness(config: Config, spec: CoderSpec) -> Settings:
    """The fields in which fair opponents agree, with the training text of a coder trained here."""
    if spec.pretrained:
        return fair_fields(spec)
    return {
        "corpus": config["corpus"]["source"],
        "token budget": budget(config, "coder", spec.base),
        **fair_fields(spec),
    }


def allowed_differences(config: Config, family: str) -> list[Any]:
    """Fields in which a family's coders may differ; `source` covers all of a pretrained recipe."""
    entries: list[Any] = list(config["comparisons"]["families"][family].get("allow_unfair") or [])
    if "source" not in entries:
        return entries
    for left, right in coder_pairs(config, family):
        if left.pretrained != right.pretrained:
            fields = sorted({*fairness(config, left)} ^ {*fairness(config, right)})
            entries.append({"pair": [left.name, right.name], "fields": fields})
    return entries


def jobs(config: Config) -> Jobs:
    """One job per family of contrasts."""
    coders = {spec.name: spec for spec in coder_specs(config)}
    return {
        paths.evaluation(NAME, family): PlannedJob(
            NAME, settings(config, family, coders), manifests(config, family)
        )
        for family in config["comparisons"]["families"]
    }


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """One row per declared contrast."""
    planned = []
    for family, declared in config["comparisons"]["families"].items():
        path = paths.evaluation(NAME, family)
        for metric in declared["metrics"]:
            _, _, short = metric.partition(".")
            for left, right in coder_pairs(config, family):
                a, b = left.name, right.name
                measured = tuple(paths.evaluation(source(metric), name) for name in (a, b))
                columns = {
                    **coder_columns(config, left),
                    "hookpoint": f"{left.site} vs {right.site}",
                    "coder_type": f"head-to-head ({family})",
                    "dataset": dataset(config, jobs[measured[0]].token_set),
                }
                label = short.replace("_", "-").replace("/", "-")
                label += "-matched" if "match" in declared else ""
                run_id = f"h2h-{label}-{left.coder}-vs-{b}"
                name = f"{metric}: {a} - {b}"
                planned.append(RowPlan(run_id, NAME, path, columns, metric=name, closest=measured))
    return planned
