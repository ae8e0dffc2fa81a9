"""Planning of auto-interp: its jobs, its rows, and the manifests of each scorer and encoder."""

import re
from typing import Any

from latent_ledger.config.coder_specs import coders_measured_by
from latent_ledger.evaluations.autointerp.protocol import EMBEDDING, SCORES
from latent_ledger.lib.errors import LedgerError
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Config,
    Jobs,
    PlannedJob,
    RowPlan,
    coder_columns,
    dataset,
)
from latent_ledger.scorers.registry import kind_of

NAME = "autointerp"
TOKEN_SET = "scoring"
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
"""Row type of a coder's sample of latents."""


def examples(coder: str) -> str:
    """The sampled latents of a coder and their examples."""
    return f"latent_examples/{coder}.json"


def manifest_of(output: str, coder: str, scorer_or_encoder: str) -> str:
    """The explanations or scores of a coder's latents by one scorer or encoder."""
    return f"{output}/{coder}/{scorer_or_encoder}.json"


def answers(config: Config, coder: str, scorer_or_encoder: str) -> dict[str, str]:
    """The manifests that one evaluation collects, by their names in :mod:`~.collect`.

    An encoder explains nothing.
    """
    manifests = {"examples": examples(coder)}
    if scorer_or_encoder in config["evaluations"][NAME]["encoders"]:
        return manifests | {"scores": manifest_of("embedding_scores", coder, scorer_or_encoder)}
    for name, output in (("explanations", "explanations"), ("scores", "latent_scores")):
        manifests[name] = manifest_of(output, coder, scorer_or_encoder)
    return manifests


def source(metric: str) -> str:
    """The evaluation that holds a metric: ``autointerp/lexical``, that of a scorer or encoder.

    A scorer that fails therefore blocks only its own numbers. Raises :class:`LedgerError` for
    any other name.
    """
    name = METRIC.fullmatch(metric)
    if not name:
        raise LedgerError(f"{NAME} has no metric {metric!r}: they are called <score>_<scorer>.")
    return f"{NAME}/{name['scorer']}"


def label(config: Config, scorer_or_encoder: str) -> str:
    """The ledger's name of a scorer or encoder, with its model where it has one."""
    block = config["evaluations"][NAME]
    if scorer_or_encoder in block["encoders"]:
        return f"encoder: {scorer_or_encoder} (no explanation)"
    settings = block["scorers"][scorer_or_encoder]
    return f"scorer: {scorer_or_encoder} ({kind_of(settings).label(settings)})"


def jobs(config: Config) -> Jobs:
    """Examples, then explanations and scores by each scorer, then one evaluation of each."""
    planned: Jobs = {}
    for spec in coders_measured_by(config, NAME):
        block = config["evaluations"][NAME]
        subject: dict[str, Any] = {"token_set": TOKEN_SET, "model": spec.model, "coders": (spec,)}
        sample = {"examples": examples(spec.name)}
        planned[examples(spec.name)] = PlannedJob(
            "latent_examples",
            {key: block[key] for key in EXAMPLES},
            {
                "model": paths.model(),
                "tokens": paths.Tokens(TOKEN_SET),
                "codes": paths.Codes(TOKEN_SET, spec.name),
            },
            **subject,
        )
        for name, scorer in block["scorers"].items():
            settings = kind_of(scorer).job_settings(scorer)
            explanations = manifest_of("explanations", spec.name, name)
            planned[explanations] = PlannedJob("explain", settings, sample, **subject)
            planned[manifest_of("latent_scores", spec.name, name)] = PlannedJob(
                "score_latents",
                settings | {key: block[key] for key in ("scores", "examples_shown", "seed")},
                {**sample, "explanations": explanations},
                **subject,
            )
        for name, encoder in block["encoders"].items():
            settings = {**encoder, "seed": block["seed"]}
            scores = manifest_of("embedding_scores", spec.name, name)
            planned[scores] = PlannedJob("embed_latents", settings, sample, **subject)
        collected = {key: block[key] for key in ("resamples", "seed", "reference_frequency")}
        for name in [*block["scorers"], *block["encoders"]]:
            path = paths.evaluation(f"{NAME}/{name}", spec.name)
            inputs = answers(config, spec.name, name)
            settings = {"scorer_or_encoder": name, **collected}
            if name in block["scorers"]:
                settings["examples_shown"] = block["examples_shown"]
            planned[path] = PlannedJob(NAME, settings, inputs, **subject)
    return planned


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """Per coder a row of its sample of latents, and one per scorer and per encoder."""
    planned = []
    for spec in coders_measured_by(config, NAME):
        block = config["evaluations"][NAME]
        columns = {
            **coder_columns(config, spec, "auto-interp, sample of latents"),
            "dataset": dataset(config, TOKEN_SET),
        }
        planned.append(RowPlan(f"sample-{spec.name}", SAMPLE, examples(spec.name), columns))
        for name in [*block["scorers"], *block["encoders"]]:
            first = block["scores"][0] if name in block["scorers"] else EMBEDDING
            scored_by = coder_columns(config, spec, f"auto-interp, {label(config, name)}")
            planned.append(
                RowPlan(
                    f"ai-{spec.name}-{name}",
                    NAME,
                    paths.evaluation(f"{NAME}/{name}", spec.name),
                    columns | scored_by,
                    metric=f"{first}_{name}",
                )
            )
    return planned
