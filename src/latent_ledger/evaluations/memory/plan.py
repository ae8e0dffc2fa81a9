"""The memory planner: on which GPU does a scorer fit, beside the model under study and alone?"""

from __future__ import annotations

from dataclasses import asdict

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.formatting import table
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Config,
    Finding,
    Jobs,
    RowPlan,
    Settings,
    Stage,
    metrics_of,
    model_columns,
    named,
)
from latent_ledger.resources.architectures import of_model, of_source
from latent_ledger.resources.devices import gpus
from latent_ledger.resources.memory import DEFAULT_SHARE

NAME, RULE = "memory", "memory_plan"
PROMPT = 5120
"""Tokens of a prompt and its answer where the scorer is served elsewhere."""


def plans(config: Config) -> dict[str, Settings]:
    """Settings of every scorer that is a model of known size, if there are GPUs to ask about."""
    block = config["evaluations"].get("autointerp")
    listed, model = config["hardware"]["gpus"], of_model(config["model"])
    if not block or not listed or model is None:
        return {}
    found = {}
    for name, scorer in block["scorers"].items():
        source = scorer["model"] if scorer["backend"] != "lexical" else None
        architecture = of_source(source, scorer.get("revision")) if source else None
        if architecture is None:
            continue
        served = scorer["backend"] == "vllm"
        found[name] = {
            "scorer": {
                "source": source,
                "dtype": scorer["dtype"] if served else "bfloat16",
                "architecture": asdict(architecture),
            },
            "max_model_len": scorer["max_model_len"] if served else PROMPT,
            "share": scorer["gpu_memory_utilization"] if served else DEFAULT_SHARE,
            "model": {
                "source": config["model"]["source"],
                "dtype": config["model"]["dtype"],
                "architecture": asdict(model),
            },
            "gpus": [asdict(gpus()[gpu]) for gpu in listed],
        }
    return found


def jobs(config: Config) -> Jobs:
    """One cheap job per scorer."""
    return {paths.evaluation(NAME, name): (RULE, plan) for name, plan in plans(config).items()}


def rows(config: Config) -> list[RowPlan]:
    """One row per scorer."""
    found = []
    for name, plan in plans(config).items():
        path = paths.evaluation(NAME, name)
        columns = {
            **model_columns(config),
            "coder_type": f"memory plan (scorer: {plan['scorer']['source']})",
        }
        found.append(RowPlan(f"{NAME}-{name}", NAME, path, columns, needs=[path]))
    return found


def read(row: RowPlan, payload: Payload) -> Finding:
    """What the scorer needs, then why it fits or not, per GPU."""
    metrics, facts = metrics_of(payload), payload.facts
    needed = named(metrics)["needed"]
    parts = [f"needs {needed['estimate']:.1f} GiB"]
    for why in facts["why"]:
        parts.append(f"{why['gpu']}, beside {facts['model']}: {why['beside']}")
        parts.append(f"{why['gpu']}, alone: {why['alone']}")
    return Finding("; ".join(parts), main=needed, metrics=metrics)


def section(current) -> str:
    """The ledger's table of scorers and GPUs."""
    lines = []
    for row in current:
        if row.row_type != NAME or not row.metrics:
            continue
        by = named(row.metrics)
        for gpu in (why["gpu"] for why in row.facts["why"]):
            words = {
                place: "fits" if by[f"fits_{place}_{gpu}"]["estimate"] else "does not fit"
                for place in ("beside_model", "alone")
            }
            free = by[f"free_beside_model_{gpu}"]["estimate"]
            lines.append(
                (
                    f"`{row.facts['scorer']}`",
                    gpu,
                    f"{by['needed']['estimate']:.1f}",
                    f"{by[f'total_{gpu}']['estimate']:.1f}",
                    f"{free:.1f}, {words['beside_model']}",
                    words["alone"],
                )
            )
    header = ("scorer", "GPU", "needs, GiB", "of", "free beside the model, GiB", "alone")
    text = (
        "## Where does a scorer fit?\n\n"
        "Computed from the models' sizes before anything is started. Beside the model: one process "
        "keeps the model under study on the same GPU; alone: explaining and scoring are jobs of "
        "their own, as they are here.\n\n"
    )
    return text + table(header, lines, (2, 3)) if lines else ""


STAGE = Stage(NAME, jobs=jobs, rows=rows, readers={NAME: read}, section=section)
