"""Planning of steering: one job and one row per coder and protocol."""

from latent_ledger.config.coder_specs import CoderSpec, coders_measured_by
from latent_ledger.models.hook_points import HookPoint, HookPointName
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Config,
    Jobs,
    PlannedJob,
    RowPlan,
    Settings,
    coder_columns,
    dataset,
    without,
)

NAME = "steering"
TOKEN_SET = "probing"


def judge_hook_point(config: Config, spec: CoderSpec) -> HookPoint:
    """Hook point of the judge: resid_post of the declared layer, or of the coder's layer."""
    layer = config["evaluations"][NAME]["judge_layer"]
    return HookPoint(
        spec.site.output_hook.layer if layer is None else layer, HookPointName.RESID_POST
    )


def variants(config: Config) -> dict[str, Settings]:
    """Settings of every protocol: the block with its overrides; "" is the block itself."""
    block = config["evaluations"].get(NAME)
    if block is None:
        return {}
    common = without(block, "variants")
    return {"": common} | {
        name: common | overrides for name, overrides in block["variants"].items()
    }


def steered(config: Config) -> list[tuple[str, CoderSpec]]:
    """(protocol, coder) of every steering job."""
    specs = coders_measured_by(config, NAME)
    return [
        (name, spec)
        for name, block in variants(config).items()
        for spec in specs
        if block.get("coders") is None or spec.coder in block["coders"]
    ]


def manifest(variant: str, coder: str) -> str:
    """The manifest of one coder under one protocol."""
    if not variant:
        return paths.evaluation(NAME, coder)
    return f"steering_variants/{variant}/{coder}.json"


def jobs(config: Config) -> Jobs:
    """One job per coder and protocol: its settings and the number format of the model."""
    planned: Jobs = {}
    for variant, spec in steered(config):
        settings = without(variants(config)[variant], "select", "judge_layer", "coders")
        settings |= {"model_dtype": config["model"]["dtype"]}
        planned[manifest(variant, spec.name)] = PlannedJob(
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
    for variant, spec in steered(config):
        block = variants(config)[variant]
        columns = {
            **coder_columns(config, spec, NAME),
            "dataset": f"{dataset(config, TOKEN_SET).partition(' (')[0]} "
            f"({len(block['concepts'])} concepts)",
            "tokens": f"n_scan={block['scan']}/prompt, n_gen={block['generations']}/coef, "
            f"coefs[{','.join(f'{value:g}' for value in block['coefficients'])}]xRMS",
        }
        run_id = f"steer-{spec.name}" + (f"-{variant}" if variant else "")
        planned.append(RowPlan(run_id, NAME, manifest(variant, spec.name), columns))
    return planned
