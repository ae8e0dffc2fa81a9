"""Steering: does adding a direction make the model write about a concept?"""

from __future__ import annotations

from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.config.coder_specs import CoderSpec
from latent_ledger.evaluations.formatting import count, interval, per_coder
from latent_ledger.models.hook_points import HookPoint, HookPointName
from latent_ledger.planning import paths
from latent_ledger.planning.coders import way_to_codes
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Finding,
    Jobs,
    Metric,
    RowPlan,
    Settings,
    Stage,
    coder_columns,
    coders_measured_by,
    dataset,
    metrics_of,
    named,
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


def read(row: RowPlan, payload: Payload) -> Finding:
    """Latent minus difference of means first: the contrast that was declared."""
    metrics, facts = metrics_of(payload), payload.facts
    by = named(metrics)
    gap = by["gap_dom"]
    text = (
        f"latent - difference of means {interval(gap, signed=True)} ({count(gap)}); "
        f"success: latent {interval(by['success_latent'])}, difference of means "
        f"{interval(by['success_dom'])}, random {interval(by['success_random'])}, unsteered "
        f"{interval(by['success_baseline'])}; latent - unsteered "
        f"{_tested(by['effect_latent'])}, latent - random {_tested(by['gap_random'])}, "
        f"difference of means - random {_tested(by['gap_dom_random'])}; "
        f"bag-of-tokens judge: latent - difference of means "
        f"{interval(by['gap_dom_bag'], signed=True)}"
    )
    told = "; ".join(concept_line(name, of, by) for name, of in facts["concepts"].items())
    notes = (
        f"Steered at {facts['steered_at']} (RMS {facts['rms']:.1f}), judged at "
        f"{facts['judged_at']}; perplexity at most {facts['perplexity_cap']:g} x unsteered. {told}."
    )
    return Finding(text, main=gap, null=0.0, notes=notes, metrics=metrics)


def concept_line(concept: str, facts: dict[str, Any], by: dict[str, Metric]) -> str:
    """What was chosen for a concept, and how good its judges are."""
    at, right = facts["coefficients"], by[f"judge_accuracy/{concept}"]
    chance = ", no better than chance" if right["ci"][0] <= 0.5 else ""
    arms = {"latent": "latent", "dom": "difference of means", "random": "random"}
    chosen = ", ".join(
        f"{words} {at[arm]:g}" + ("" if at[arm] else " (none admissible)")
        for arm, words in arms.items()
    )
    return (
        f"{concept}: prompt '{facts['prompt']}' (perplexity {facts['baseline_perplexity']:.1f}), "
        f"latent {facts['latent']}, coefficients {chosen}, judge right on "
        f"{interval(right)} of test examples{chance} (bag of tokens {facts['bag_accuracy']:.3f})"
    )


def section(current) -> str:
    """The ledger's table of all coders."""
    return per_coder(
        current,
        NAME,
        "## Can the model be steered by a latent?\n\n"
        "Share of generated texts that a concept probe takes for the concept, when a direction is "
        "added at the coder's output hook: the decoder direction of the concept's best latent, the "
        "difference of means of the raw activations, or random directions. The probe reads the "
        "text back in the unsteered model. Coefficients are chosen on one half of the generations, "
        "among those that keep perplexity within the cap; the other half is reported. Gaps are "
        "paired by generation, on common random numbers.",
        {
            "latent": lambda m: interval(m["success_latent"]),
            "difference of means": lambda m: interval(m["success_dom"]),
            "random": lambda m: interval(m["success_random"]),
            "unsteered": lambda m: f"{m['success_baseline']['estimate']:.3f}",
            "latent - unsteered": lambda m: interval(m["effect_latent"], signed=True),
            "latent - diff. of means": lambda m: interval(m["gap_dom"], signed=True),
            "latent - random": lambda m: interval(m["gap_random"], signed=True),
            "n": lambda m: count(m["gap_dom"])[2:],
        },
    )


def _tested(contrast: Metric) -> str:
    """A contrast with Holm's p beside it."""
    return f"{interval(contrast, signed=True)} (Holm p={contrast['p_holm']:.2g})"


STAGE = Stage(
    NAME,
    jobs=jobs,
    rows=rows,
    readers={NAME: read},
    section=section,
    captures=captures,
    codes=codes,
)
