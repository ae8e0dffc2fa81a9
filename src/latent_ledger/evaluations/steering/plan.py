"""Steering: does adding a direction make the model write about a concept?"""

from __future__ import annotations

from latent_ledger.config.coder_specs import CoderSpec
from latent_ledger.models.hook_points import HookPoint, HookPointName
from latent_ledger.planning import paths
from latent_ledger.planning.coders import way_to_codes
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Jobs,
    RowPlan,
    Settings,
    coder_columns,
    coders_measured_by,
    dataset,
    without,
)

NAME = "steering"
SPLIT = "probing"


def judge_hook_point(config: Config, one: CoderSpec) -> HookPoint:
    """Where the judge reads: the residual stream behind the declared layer, or the coder's own."""
    layer = config["evaluations"][NAME]["judge_layer"]
    return HookPoint(
        one.site.output_hook.layer if layer is None else layer, HookPointName.RESID_POST
    )


def judged(config: Config, one: CoderSpec) -> str:
    """The activations over the labelled examples from which a coder's judge is fit."""
    return paths.activations("probing", judge_hook_point(config, one), one.model)


def captures(config: Config) -> set[Capture]:
    """What the coders write, for the difference of means, and what the judge reads."""
    return {
        Capture(SPLIT, one.model, hook_point)
        for one in coders_measured_by(config, NAME)
        for hook_point in (one.site.output_hook, judge_hook_point(config, one))
    }


def codes(config: Config) -> set[tuple[str, str]]:
    """Codes of the labelled examples, which choose the latents."""
    return {(SPLIT, one.name) for one in coders_measured_by(config, NAME)}


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
    return f"results/steering_variants/{variant}/{of}.json"


def jobs(config: Config) -> Jobs:
    """The protocol's own block, and the number format in which the model runs."""
    found: Jobs = {}
    for variant, one in measured(config):
        settings = without(variants(config)[variant], "select", "judge_layer", "coders")
        settings |= {"model_dtype": config["model"]["dtype"]}
        found[path_of(variant, one.name)] = (NAME, settings)
    return found


def rows(config: Config) -> list[RowPlan]:
    """One row per coder and protocol."""
    found = []
    for variant, one in measured(config):
        path, block = path_of(variant, one.name), variants(config)[variant]
        columns = {
            **coder_columns(config, one, NAME),
            "dataset": f"{dataset(config, SPLIT).partition(' (')[0]} "
            f"({len(block['concepts'])} concepts)",
            "tokens": f"n_scan={block['scan']}/prompt, n_gen={block['generations']}/coef, "
            f"coefs[{','.join(f'{value:g}' for value in block['coefficients'])}]xRMS",
        }
        hook_points = (one.site.output_hook, judge_hook_point(config, one))
        needs = [
            *way_to_codes(one, SPLIT),
            *(paths.activations(SPLIT, hook_point, one.model) for hook_point in hook_points),
            path,
        ]
        run_id = f"steer-{one.name}" + (f"-{variant}" if variant else "")
        found.append(RowPlan(run_id, NAME, path, columns, needs=needs))
    return found
