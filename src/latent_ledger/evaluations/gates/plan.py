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

from collections.abc import Callable, Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.config.coder_specs import CoderSpec, coder_specs
from latent_ledger.evaluations.formatting import table
from latent_ledger.evaluations.probing import plan as probing
from latent_ledger.evaluations.reconstruction import plan as reconstruction
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.planning import paths
from latent_ledger.planning.coders import way_to
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Finding,
    Jobs,
    RowPlan,
    Stage,
    coder_columns,
    coders_measured_by,
    dataset,
    metrics_of,
    model_columns,
    named,
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


def read(row: RowPlan, payload: Payload) -> Finding:
    """What was measured, how sharp the check is, and the bound it had to keep."""
    return READERS[payload.manifest.rule](payload)


def read_fidelity(payload: Payload) -> Finding:
    """Jaccard first; beside it how far values and outputs are apart, and the wrong variant."""
    facts, metrics = payload.facts, metrics_of(payload)
    by = named(metrics)
    rows = " and ".join(f"{count:,} {kind}" for kind, count in facts["rows"].items())
    text = (
        f"Jaccard {by['jaccard']['estimate']:.3f} against {facts['against']} on {rows} rows "
        f"(n={by['jaccard']['n']:,} rows); largest relative error of a value "
        f"{worst(metrics, 'value_error'):.1e}, of an output {worst(metrics, 'output_error'):.1e} "
        f"(bound 1e-04); {facts['tied_rows']:,} rows with a tie at the boundary"
    )
    wrong, notes = facts.get("wrong_variant"), ""
    if wrong:
        found = " and ".join(f"{jaccard:.2f}" for jaccard in wrong["jaccard"].values())
        notes = f"With apply_b_dec_to_input=False the same check fails: Jaccard {found}."
        if not wrong["fails"]:
            notes = (
                f"With apply_b_dec_to_input=False the same check passes too: b_dec is only "
                f"{wrong['b_dec_norm']:g} of a row's norm, so the two are one function."
            )
    reference = {"value": 1.0, "tolerance": 0.0}
    return Finding(text, main=by["jaccard"], notes=notes, metrics=metrics, reference=reference)


def worst(metrics: Sequence[dict[str, Any]], name: str) -> float:
    """The largest estimate among the metrics of this name, over the kinds of rows."""
    return max(one["estimate"] for one in metrics if one["name"].startswith(name))


def read_reconstruction_nulls(payload: Payload) -> Finding:
    """Variance explained of the mean and of the target itself."""
    facts, metrics = payload.facts, metrics_of(payload)
    by = named(metrics)
    main = by["largest_deviation"]
    text = (
        f"variance explained {abs(by['variance_explained_of_mean']['estimate']):.6f} for the mean, "
        f"{by['variance_explained_of_target']['estimate']:.6f} for the target itself, with and "
        f"without BOS within {main['estimate']:.0e} (n={main['n']:,} documents)"
    )
    reference = {"value": 0.0, "tolerance": facts["tolerance"]}
    return Finding(text, main=main, metrics=metrics, reference=reference)


def read_probing_nulls(payload: Payload) -> Finding:
    """The AUROC farthest from chance, and how far it may be."""
    facts, metrics = payload.facts, metrics_of(payload)
    main = named(metrics)["largest_deviation"]
    text = (
        f"AUROC after shuffling labels or latents at most {main['estimate']:.3f} from 0.5 over "
        f"{facts['checks']} means (bound {facts['bound']:g}, which a correct evaluation exceeds "
        f"with probability {facts['false_alarm']:g}; n={main['n']:,} shuffles); with the true "
        f"labels {facts['true_auroc']:.3f}"
    )
    reference = {"value": 0.0, "tolerance": facts["bound"]}
    return Finding(text, main=main, metrics=metrics, reference=reference)


READERS: dict[str, Callable[[Payload], Finding]] = {
    "reader_fidelity": read_fidelity,
    "saelens_fidelity": read_fidelity,
    "reconstruction_nulls": read_reconstruction_nulls,
    "probing_nulls": read_probing_nulls,
}
"""Rule of a gate -> how its payload is read."""

GATES = {
    "parity-": ("hook-point parity", "every captured row is TransformerLens' value"),
    "gate-reader-": ("encode fidelity, reader", "our reader is the library's coder: Jaccard 1"),
    "gate-saelens-": ("encode fidelity, SAELens", "the adapted coder is ours: Jaccard 1"),
    "gate-nulls-reconstruction-": (
        "metric nulls, reconstruction",
        "variance explained 0 for the mean, 1 for the target",
    ),
    "gate-nulls-probing-": ("metric nulls, probing", "AUROC 0.5 after a shuffle"),
}
"""Beginning of a run id -> name of the gate, and what must hold."""


def section(current) -> str:
    """All gates at a glance: how many were asked, how many hold."""
    lines = []
    for start, (name, must) in GATES.items():
        mine = [row for row in current if row.run_id.startswith(start)]
        held = sum(row.label == "reproduced" for row in mine)
        if mine:
            lines.append((name, must, f"{held} of {len(mine)}", _worst_seen(mine)))
    if not lines:
        return ""
    title = (
        "## Gates\n\n"
        "What must hold before a number is measured. A gate that fails blocks what depends on it: "
        "those rows say so and carry no number."
    )
    header = ("gate", "what must hold", "held", "worst of these")
    return f"{title}\n\n{table(header, lines, {2, 3})}"


def _worst_seen(rows: Sequence[Any]) -> str:
    """The worst main number among the gates that were measured."""
    by = [named(row.metrics) for row in rows if row.metrics]
    jaccards = [metrics["jaccard"]["estimate"] for metrics in by if "jaccard" in metrics]
    deviations = [m["largest_deviation"]["estimate"] for m in by if "largest_deviation" in m]
    if jaccards:
        return f"Jaccard {min(jaccards):.3f}"
    return f"{max(deviations):.2g} off" if deviations else ""


STAGE = Stage(
    "gates",
    jobs=jobs,
    rows=rows,
    readers={"gate": read},
    section=section,
    captures=captures,
)
