"""Steering: does adding a direction make the model write about a concept?"""

from __future__ import annotations

from latent_ledger.config.coder_specs import CoderSpec
from latent_ledger.models.hook_points import HookPoint, HookPointName
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

NAME = "steering"
TOKEN_SET = "probing"


def judge_hook_point(config: Config, one: CoderSpec) -> HookPoint:
    """Where the judge reads: the residual stream behind the declared layer, or the coder's own."""
    layer = config["evaluations"][NAME]["judge_layer"]
    return HookPoint(
        one.site.output_hook.layer if layer is None else layer, HookPointName.RESID_POST
    )


def variants(config: Config) -> dict[str, Settings]:
    """Protocol -> the block with what that protocol does otherwise; "" is the block itself."""
    block = config["evaluations"].get(NAME)
    if block is None:
        return {}
    common = without(block, "variants")
    return {"": common} | {name: common | own for name, own in block["variants"].items()}


def measured(config: Config) -> list[tuple[str, CoderSpec]]:
    """(protocol, coder) of everything that is steered."""
    found = []
    for name, block in variants(config).items():
        coders = block.get("coders")
        found += [
            (name, one)
            for one in coders_measured_by(config, NAME)
            if coders is None or one.coder in coders
        ]
    return found


def path_of(variant: str, of: str) -> str:
    """The manifest of one coder under one protocol."""
    if not variant:
        return paths.evaluation(NAME, of)
    return f"steering_variants/{variant}/{of}.json"


def jobs(config: Config) -> Jobs:
    """The protocol's own block, and the number format in which the model runs."""
    planned: Jobs = {}
    for variant, spec in measured(config):
        settings = without(variants(config)[variant], "select", "judge_layer", "coders")
        settings |= {"model_dtype": config["model"]["dtype"]}
        planned[path_of(variant, spec.name)] = PlannedJob(
            NAME,
            settings,
            {
                "model": paths.model(spec.model),
                "tokens": paths.Tokens(TOKEN_SET),
                "output_hook": paths.Activations(TOKEN_SET, spec.site.output_hook, spec.model),
                "judged": paths.Activations(TOKEN_SET, judge_hook_point(config, spec), spec.model),
                "codes": paths.Codes(TOKEN_SET, spec.name),
                "coder": paths.coder(spec.name),
            },
            TOKEN_SET,
            spec.model,
            (spec,),
        )
    return planned


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """One row per coder and protocol."""
    planned = []
    for variant, spec in measured(config):
        block = variants(config)[variant]
        columns = {
            **coder_columns(config, spec, NAME),
            "dataset": f"{dataset(config, TOKEN_SET).partition(' (')[0]} "
            f"({len(block['concepts'])} concepts)",
            "tokens": f"n_scan={block['scan']}/prompt, n_gen={block['generations']}/coef, "
            f"coefs[{','.join(f'{value:g}' for value in block['coefficients'])}]xRMS",
        }
        run_id = f"steer-{spec.name}" + (f"-{variant}" if variant else "")
        planned.append(RowPlan(run_id, NAME, path_of(variant, spec.name), columns))
    return planned
