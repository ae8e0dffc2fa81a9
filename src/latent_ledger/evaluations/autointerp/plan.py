"""Auto-interp: can a reader of a latent's examples tell where it fires?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from latent_ledger.lib.errors import LedgerError
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Config,
    Jobs,
    PlannedJob,
    RowPlan,
    Settings,
    coder_columns,
    coders_measured_by,
    dataset,
    without,
)

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
"""Settings that decide which latents are looked at and in which examples."""
SERVED = (
    "revision",
    "dtype",
    "max_model_len",
    "gpu_memory_utilization",
    "arguments",
    "startup_timeout",
)
"""Settings of a scorer whose job serves the model."""
ADDRESS = ("base_url", "api_key_env")
"""Settings of a scorer that is somewhere else."""
INTRUDER, EMBEDDING = "intruder", "embedding"
SCORES = ("detection", "fuzzing", "fuzzing_matched", INTRUDER, EMBEDDING)
METRIC = re.compile(rf"(?:{'|'.join(SCORES)})_(?P<reader>[a-z0-9-]+)(?:_adjusted|_auroc|_unread)?")
"""A metric's name; a reader's has no underscore."""
SAMPLE = "latent_examples"
"""Kind of the row of a coder's sample of latents."""


def examples(coder: str) -> str:
    """The sampled latents of a coder and their examples."""
    return f"latent_examples/{coder}.json"


def of_reader(what: str, coder: str, reader: str) -> str:
    """What one scorer or encoder made of a coder's latents."""
    return f"{what}/{coder}/{reader}.json"


def answers(config: Config, coder: str, reader: str) -> dict[str, str]:
    """What is collected of one reader and coder: its manifests by the names that collecting takes.

    An encoder explains nothing.
    """
    found = {"examples": examples(coder)}
    if reader in config["evaluations"][NAME]["encoders"]:
        return found | {"scores": of_reader("embedding_scores", coder, reader)}
    for name, what in (("explanations", "explanations"), ("scores", "latent_scores")):
        found[name] = of_reader(what, coder, reader)
    return found


def source(metric: str) -> str:
    """The reader's own evaluation that a metric is in: ``autointerp/lexical``.

    A reader that fails takes only its own numbers along. Raises :class:`LedgerError` for what is
    no metric of a reader.
    """
    found = METRIC.fullmatch(metric)
    if not found:
        raise LedgerError(f"{NAME} has no metric {metric!r}: they are called <score>_<reader>.")
    return f"{NAME}/{found['reader']}"


def scorer(settings: Mapping[str, Any]) -> Settings:
    """A scorer's settings without the keys that are not for its kind."""
    if settings["backend"] == "lexical":
        return {"backend": "lexical"}
    others = SERVED if settings["backend"] == "openai" else ADDRESS
    return without(settings, *others)


def who(config: Config, reader: str) -> str:
    """Who reads, in words that hide nothing."""
    block = config["evaluations"][NAME]
    if reader in block["encoders"]:
        return f"encoder: {reader} (no explanation)"
    settings = block["scorers"][reader]
    if settings["backend"] == "lexical":
        return f"scorer: {reader} (no model)"
    served = f" at {settings['revision'][:12]}" if settings["revision"] else ""
    return f"scorer: {reader} ({settings['model']}{served})"


def jobs(config: Config) -> Jobs:
    """Examples, then explanations and scores by each scorer, then what each reader made of it."""
    planned: Jobs = {}
    for spec in coders_measured_by(config, NAME):
        block = config["evaluations"][NAME]
        about = {"token_set": TOKEN_SET, "model": spec.model, "coders": (spec,)}
        sample = {"examples": examples(spec.name)}
        planned[examples(spec.name)] = PlannedJob(
            "latent_examples",
            {key: block[key] for key in EXAMPLES},
            {
                "model": paths.model(),
                "tokens": paths.Tokens(TOKEN_SET),
                "codes": paths.Codes(TOKEN_SET, spec.name),
            },
            **about,
        )
        for reader in block["scorers"]:
            settings = {"scorer": scorer(block["scorers"][reader])}
            explanations = of_reader("explanations", spec.name, reader)
            planned[explanations] = PlannedJob("explain", settings, sample, **about)
            planned[of_reader("latent_scores", spec.name, reader)] = PlannedJob(
                "score_latents",
                settings | {key: block[key] for key in ("scores", "examples_shown", "seed")},
                {**sample, "explanations": explanations},
                **about,
            )
        for reader in block["encoders"]:
            settings = {**block["encoders"][reader], "seed": block["seed"]}
            scores = of_reader("embedding_scores", spec.name, reader)
            planned[scores] = PlannedJob("embed_latents", settings, sample, **about)
        collected = {key: block[key] for key in ("resamples", "seed", "reference_frequency")}
        for reader in [*block["scorers"], *block["encoders"]]:
            path = paths.evaluation(f"{NAME}/{reader}", spec.name)
            inputs = answers(config, spec.name, reader)
            planned[path] = PlannedJob(NAME, {"reader": reader, **collected}, inputs, **about)
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
        for reader in [*block["scorers"], *block["encoders"]]:
            first = block["scores"][0] if reader in block["scorers"] else EMBEDDING
            read_by = coder_columns(config, spec, f"auto-interp, {who(config, reader)}")
            planned.append(
                RowPlan(
                    f"ai-{spec.name}-{reader}",
                    NAME,
                    paths.evaluation(f"{NAME}/{reader}", spec.name),
                    columns | read_by,
                    metric=f"{first}_{reader}",
                )
            )
    return planned
