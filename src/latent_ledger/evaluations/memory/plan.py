"""The memory planner: on which GPU does a scorer fit, beside the model under study and alone?"""

from __future__ import annotations

from dataclasses import asdict

from latent_ledger.planning import paths
from latent_ledger.planning.stage import Config, Jobs, PlannedJob, RowPlan, Settings, model_columns
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
    return {
        paths.evaluation(NAME, name): PlannedJob(RULE, plan) for name, plan in plans(config).items()
    }


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """One row per scorer."""
    found = []
    for name, plan in plans(config).items():
        path = paths.evaluation(NAME, name)
        columns = {
            **model_columns(config),
            "coder_type": f"memory plan (scorer: {plan['scorer']['source']})",
        }
        found.append(RowPlan(f"{NAME}-{name}", NAME, path, columns))
    return found
