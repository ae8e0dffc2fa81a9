"""Head to head: which coder is better, and by how much?"""

from __future__ import annotations

from typing import Any

from latent_ledger.config.coder_specs import pairs as met_pairs
from latent_ledger.evaluations.autointerp import plan as autointerp
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Config,
    Jobs,
    RowPlan,
    Settings,
    coder,
    coder_columns,
    dataset,
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
