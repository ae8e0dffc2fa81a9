"""The plan of auto-interp: its jobs, its rows, and the manifests of each scorer and encoder."""

from __future__ import annotations

import re

from latent_ledger.evaluations.autointerp.protocol import EMBEDDING, SCORES
from latent_ledger.lib.errors import LedgerError
from latent_ledger.planning import paths
from latent_ledger.planning.coders import way_to_codes
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Jobs,
    RowPlan,
    coder_columns,
    coders_measured_by,
    dataset,
)
from latent_ledger.scorers.registry import kind_of

NAME = "autointerp"
SPLIT = "scoring"
EXAMPLES = (
    "latents",
    "strata",
    "min_examples",
    "n_train",
    "n_test",
    "n_negatives",
    "quantiles",
    "example_tokens",
    "seed",
)
"""Settings that decide which latents are sampled and in which examples."""
METRIC = re.compile(rf"(?:{'|'.join(SCORES)})_(?P<scorer>[a-z0-9-]+)(?:_adjusted|_auroc|_unread)?")
"""A metric's name; the name of a scorer or encoder has no underscore."""
SAMPLE = "latent_examples"
"""Kind of the row of a coder's sample of latents."""


def examples(coder: str) -> str:
    """The sampled latents of a coder and their examples."""
    return f"results/latent_examples/{coder}.json"


def manifest_of(what: str, coder: str, scorer_or_encoder: str) -> str:
    """The explanations or scores of a coder's latents by one scorer or encoder."""
    return f"results/{what}/{coder}/{scorer_or_encoder}.json"


def answers(config: Config, coder: str, scorer_or_encoder: str) -> dict[str, str]:
    """The manifests that one evaluation collects, by their names in :mod:`~.collect`.

    An encoder explains nothing.
    """
    manifests = {"examples": examples(coder)}
    if scorer_or_encoder in config["evaluations"][NAME]["encoders"]:
        return manifests | {"scores": manifest_of("embedding_scores", coder, scorer_or_encoder)}
    for name, what in (("explanations", "explanations"), ("scores", "latent_scores")):
        manifests[name] = manifest_of(what, coder, scorer_or_encoder)
    return manifests


def source(metric: str) -> str:
    """The evaluation that holds a metric: ``autointerp/lexical``, that of a scorer or encoder.

    A scorer that fails therefore takes only its own numbers along. Raises :class:`LedgerError` for
    any other name.
    """
    name = METRIC.fullmatch(metric)
    if not name:
        raise LedgerError(f"{NAME} has no metric {metric!r}: they are called <score>_<scorer>.")
    return f"{NAME}/{name['scorer']}"


def label(config: Config, scorer_or_encoder: str) -> str:
    """What scores, for the ledger: its name, then its model or that it has none."""
    block = config["evaluations"][NAME]
    if scorer_or_encoder in block["encoders"]:
        return f"encoder: {scorer_or_encoder} (no explanation)"
    settings = block["scorers"][scorer_or_encoder]
    return f"scorer: {scorer_or_encoder} ({kind_of(settings).label(settings)})"


def captures(config: Config) -> set[Capture]:
    """The activations that the coders encode."""
    return {
        Capture(SPLIT, one.model, one.site.input_hook) for one in coders_measured_by(config, NAME)
    }


def codes(config: Config) -> set[tuple[str, str]]:
    """Codes of the part of the corpus that nothing was trained on or measured with."""
    return {(SPLIT, one.name) for one in coders_measured_by(config, NAME)}


def jobs(config: Config) -> Jobs:
    """Examples, then explanations and scores by each scorer, then one evaluation of each."""
    found: Jobs = {}
    for one in coders_measured_by(config, NAME):
        block = config["evaluations"][NAME]
        found[examples(one.name)] = ("latent_examples", {key: block[key] for key in EXAMPLES})
        for name, scorer in block["scorers"].items():
            settings = kind_of(scorer).job_settings(scorer)
            found[manifest_of("explanations", one.name, name)] = ("explain", settings)
            found[manifest_of("latent_scores", one.name, name)] = (
                "score_latents",
                settings | {key: block[key] for key in ("scores", "examples_shown", "seed")},
            )
        for name, encoder in block["encoders"].items():
            settings = {**encoder, "seed": block["seed"]}
            found[manifest_of("embedding_scores", one.name, name)] = ("embed_latents", settings)
        how = {key: block[key] for key in ("resamples", "seed", "reference_frequency")}
        for name in [*block["scorers"], *block["encoders"]]:
            path = paths.evaluation(f"{NAME}/{name}", one.name)
            found[path] = (NAME, {"scorer_or_encoder": name, **how})
    return found


def rows(config: Config) -> list[RowPlan]:
    """Per coder a row of its sample of latents, and one per scorer and per encoder."""
    found = []
    for one in coders_measured_by(config, NAME):
        sample = examples(one.name)
        way = [*way_to_codes(one, SPLIT), sample]
        block = config["evaluations"][NAME]
        columns = {
            **coder_columns(config, one, "auto-interp, sample of latents"),
            "dataset": dataset(config, SPLIT),
        }
        found.append(RowPlan(f"sample-{one.name}", SAMPLE, sample, columns, needs=way))
        for name in [*block["scorers"], *block["encoders"]]:
            first = block["scores"][0] if name in block["scorers"] else EMBEDDING
            path = paths.evaluation(f"{NAME}/{name}", one.name)
            scored_by = coder_columns(config, one, f"auto-interp, {label(config, name)}")
            found.append(
                RowPlan(
                    f"ai-{one.name}-{name}",
                    NAME,
                    path,
                    columns | scored_by,
                    metric=f"{first}_{name}",
                    needs=[*way, *answers(config, one.name, name).values(), path],
                )
            )
    return found
