"""Gates: what must hold before a number may earn its row.

=================  ==========================================  ==================================
gate               of                                          blocks
=================  ==========================================  ==================================
reader             every coder whose codes somebody reads      its codes, and all that reads them
saelens            every coder that is handed to SAELens       SAEBench and sae_probes of it
reconstruction     every hook point that a measured coder writes      reconstruction at that hook
point probing            every hook point that a probed coder reads         probing at that hook
point
=================  ==========================================  ==================================

The last two are the metric nulls. They run on the published model, for its re-randomised controls
too: they are about the metrics, not about the model. Hook-point parity, the gate of every capture,
is part of the capture itself (:mod:`latent_ledger.models.parity`).
"""

from __future__ import annotations

from latent_ledger.config.coder_specs import CoderSpec, coder_specs
from latent_ledger.evaluations.probing import plan as probing
from latent_ledger.evaluations.reconstruction import plan as reconstruction
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.planning import paths
from latent_ledger.planning.coders import way_to
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Jobs,
    RowPlan,
    coder_columns,
    coders_measured_by,
    dataset,
    model_columns,
)

SPLIT = "evaluation"
"""Token set on whose activations adapters and reconstruction are checked."""
ADAPTED = ("saebench", "sae_probes")
"""Evaluations that take a coder as a SAELens object."""
FIDELITY = {"random_rows": 512, "real_rows": 2048, "seed": 0}
NULL_SHUFFLES = {"examples": 50, "shuffles": 2}


def read_coders(config: Config) -> list[CoderSpec]:
    """The coders whose codes some stage reads, or that are handed to SAELens."""
    from latent_ledger.planning import registry

    used = {name for stage in registry.STAGES for _, name in stage.codes(config)}
    used |= {one.name for one in adapted_coders(config)}
    return [one for one in coder_specs(config) if one.name in used]


def adapted_coders(config: Config) -> list[CoderSpec]:
    """The coders that are handed to SAELens."""
    names = {one.name for evaluation in ADAPTED for one in coders_measured_by(config, evaluation)}
    return [one for one in coder_specs(config) if one.name in names]


def null_hook_points(config: Config) -> dict[str, list[tuple[str, HookPoint]]]:
    """Evaluation -> the published models and their hook points on which its metrics are checked."""
    return {
        reconstruction.NAME: sorted(
            {(one.base, one.site.output_hook) for _, one in reconstruction.measured_on(config)}
        ),
        probing.NAME: sorted(
            {(one.base, one.site.input_hook) for one in coders_measured_by(config, "probing")}
        ),
    }


def nulls(evaluation: str, hook_point: HookPoint, base: str = paths.ORIGINAL) -> str:
    """The gate that an evaluation's metrics pass on a hook point of a published model."""
    return paths.gate("nulls", f"{evaluation}/{paths.over(str(hook_point), base)}")


def captures(config: Config) -> set[Capture]:
    """What the coders read, and the published models' hook points where metrics are checked."""
    found = {Capture(SPLIT, one.model, one.site.input_hook) for one in read_coders(config)}
    for evaluation, hook_points in null_hook_points(config).items():
        split = probing.SPLIT if evaluation == probing.NAME else SPLIT
        found |= {Capture(split, base, hook_point) for base, hook_point in hook_points}
    return found


def jobs(config: Config) -> Jobs:
    """One job per gate and coder or hook point."""
    found: Jobs = {}
    for gate, coders in (("reader", read_coders), ("saelens", adapted_coders)):
        for one in coders(config):
            found[paths.gate(gate, one.name)] = (
                f"{gate}_fidelity",
                {"coder": one.name, **FIDELITY},
            )
    hook_points = null_hook_points(config)
    for base, hook_point in hook_points[reconstruction.NAME]:
        block = config["evaluations"][reconstruction.NAME]
        settings = {name: block[name] for name in ("resamples", "seed")}
        found[nulls(reconstruction.NAME, hook_point, base)] = ("reconstruction_nulls", settings)
    for base, hook_point in hook_points[probing.NAME]:
        block = config["evaluations"][probing.NAME]
        settings = {name: block[name] for name in ("concepts", "top_k", "seed")}
        found[nulls(probing.NAME, hook_point, base)] = ("probing_nulls", settings | NULL_SHUFFLES)
    return found


def rows(config: Config) -> list[RowPlan]:
    """One row per gate and coder or hook point."""
    found = [fidelity_row(config, "reader", one) for one in read_coders(config)]
    found += [fidelity_row(config, "saelens", one) for one in adapted_coders(config)]
    for evaluation, hook_points in null_hook_points(config).items():
        found += [
            nulls_row(config, evaluation, base, hook_point) for base, hook_point in hook_points
        ]
    return found


def fidelity_row(config: Config, gate: str, one: CoderSpec) -> RowPlan:
    """The row of an adapter's gate for one coder."""
    path = paths.gate(gate, one.name)
    columns = {
        **coder_columns(config, one),
        "coder_type": f"gate (encode fidelity, {gate}, {one.architecture})",
        "dataset": f"{dataset(config, SPLIT)} and random",
    }
    needs = [*way_to_gate(one), path]
    return RowPlan(f"gate-{gate}-{one.name}", "gate", path, columns, needs=needs)


def way_to_gate(one: CoderSpec) -> list[str]:
    """Manifests on the way to an adapter's gate, in order; the reader's gate blocks SAELens'."""
    read = paths.activations(SPLIT, one.site.input_hook, one.model)
    return [*way_to(one), paths.tokens(SPLIT, one.base), read, paths.gate("reader", one.name)]


def nulls_row(config: Config, evaluation: str, base: str, hook_point: HookPoint) -> RowPlan:
    """The row of an evaluation's metric nulls on one hook point."""
    path = nulls(evaluation, hook_point, base)
    split = probing.SPLIT if evaluation == probing.NAME else SPLIT
    columns = {
        **model_columns(config, base),
        "hookpoint": str(hook_point),
        "coder_type": f"gate (metric nulls, {evaluation})",
        "dataset": dataset(config, split),
    }
    read = paths.activations(split, hook_point, base)
    needs = [paths.model(base), paths.tokens(split, base), read, path]
    over = paths.over(str(hook_point), base).replace("@", "-")
    return RowPlan(f"gate-nulls-{evaluation}-{over}", "gate", path, columns, needs=needs)
