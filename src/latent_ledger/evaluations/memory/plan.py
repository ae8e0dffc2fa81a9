"""The plan of the memory planner: one job and one row per scorer of known size."""

from dataclasses import asdict

from latent_ledger.planning import paths
from latent_ledger.planning.stage import Config, Jobs, PlannedJob, RowPlan, Settings, model_columns
from latent_ledger.resources.architectures import architecture_of_model, architecture_of_source
from latent_ledger.resources.devices import gpus
from latent_ledger.resources.memory import DEFAULT_SHARE
from latent_ledger.scorers.kind import Serving
from latent_ledger.scorers.registry import kind_of

NAME, RULE = "memory", "memory_plan"
DEFAULT_SERVING = Serving(dtype="bfloat16", max_model_len=5120, share=DEFAULT_SHARE)
"""Assumed serving of a scorer that no job serves."""


def plans(config: Config) -> dict[str, Settings]:
    """Settings of every scorer that is a model of known size; empty where no GPU is listed."""
    block = config["evaluations"].get("autointerp")
    listed, model = config["hardware"]["gpus"], architecture_of_model(config["model"])
    if not block or not listed or model is None:
        return {}
    settings = {}
    for name, scorer in block["scorers"].items():
        kind = kind_of(scorer)
        source = kind.model(scorer)
        architecture = architecture_of_source(source, scorer.get("revision")) if source else None
        if architecture is None:
            continue
        served = kind.serving(scorer) if kind.serving else DEFAULT_SERVING
        settings[name] = {
            "scorer": {
                "source": source,
                "dtype": served.dtype,
                "architecture": asdict(architecture),
            },
            "max_model_len": served.max_model_len,
            "share": served.share,
            "model": {
                "source": config["model"]["source"],
                "dtype": config["model"]["dtype"],
                "architecture": asdict(model),
            },
            "gpus": [asdict(gpus()[gpu]) for gpu in listed],
        }
    return settings


def jobs(config: Config) -> Jobs:
    """One cheap job per scorer."""
    return {
        paths.evaluation(NAME, name): PlannedJob(RULE, plan) for name, plan in plans(config).items()
    }


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """One row per scorer."""
    planned = []
    for name, plan in plans(config).items():
        path = paths.evaluation(NAME, name)
        columns = {
            **model_columns(config),
            "coder_type": f"memory plan (scorer: {plan['scorer']['source']})",
        }
        planned.append(RowPlan(f"{NAME}-{name}", NAME, path, columns))
    return planned
