"""Planning of the gates: conditions that hold before a number may earn its row.

=================  ==========================================  ==================================
gate               subject                                     blocks
=================  ==========================================  ==================================
reader             every coder whose codes are read            its codes, and all that reads them
saelens            every coder that is handed to SAELens       SAEBench and sae_probes of it
reconstruction     every output hook of a measured coder       reconstruction there
probing            every input hook of a probed coder          probing there
=================  ==========================================  ==================================

The inputs of other jobs decide which gates are planned. The last two are the metric nulls.
They run on the published model, for its re-randomised controls too: they test the metrics, not
the model. Hook-point parity, the gate of every capture, is part of the capture itself
(:mod:`latent_ledger.models.parity`).
"""

from collections.abc import Mapping

from latent_ledger.config.coder_specs import CoderSpec, coder_specs
from latent_ledger.planning import paths
from latent_ledger.planning.coders import CHECKED_ON, FIDELITY
from latent_ledger.planning.stage import (
    Config,
    Context,
    Jobs,
    PlannedJob,
    RowPlan,
    coder_columns,
    dataset,
    model_columns,
)

NULL_SHUFFLES = {"examples": 50, "shuffles": 2}
NULLS_ON = {"reconstruction": "evaluation", "probing": "probing"}
"""Evaluation -> the token set on which its metrics are checked."""
NULL_SETTINGS = {"reconstruction": ("resamples", "seed"), "probing": ("concepts", "top_k", "seed")}
"""Evaluation -> keys of its block that the check of its metrics takes."""


def reader_job(context: Context, name: paths.ReaderGate) -> PlannedJob:
    """The check of a coder's loader against the library that the coder comes from."""
    return _fidelity(context.coders[name.coder], "reader_fidelity", {})


def saelens_job(context: Context, name: paths.SaelensGate) -> PlannedJob:
    """The check of a coder's SAELens form, once its loader has passed."""
    reader = {"reader": paths.ReaderGate(name.coder)}
    return _fidelity(context.coders[name.coder], "saelens_fidelity", reader)


def _fidelity(spec: CoderSpec, rule: str, inputs: Mapping[str, str]) -> PlannedJob:
    activations = paths.Activations(CHECKED_ON, spec.site.input_hook, spec.model)
    return PlannedJob(
        rule,
        {"coder": spec.name, **FIDELITY},
        {"activations": activations, "coder": paths.coder(spec.name), **inputs},
        token_set=CHECKED_ON,
        model=spec.model,
        coders=(spec,),
    )


def nulls_job(context: Context, name: paths.NullsGate) -> PlannedJob:
    """The check of an evaluation's metrics on data in which there is nothing."""
    token_set = NULLS_ON[name.evaluation]
    block = context.config["evaluations"][name.evaluation]
    settings = {key: block[key] for key in NULL_SETTINGS[name.evaluation]}
    if name.evaluation == "probing":
        settings |= NULL_SHUFFLES
    activations = paths.Activations(token_set, name.hook_point, name.base)
    source = "raw" if name.evaluation == "probing" else "activations"
    inputs = {"tokens": paths.Tokens(token_set, name.base), source: activations}
    return PlannedJob(f"{name.evaluation}_nulls", settings, inputs, token_set, name.base)


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """One row per gate and coder or hook point."""
    planned = [
        _fidelity_row(config, gate, spec)
        for gate in ("reader", "saelens")
        for spec in coder_specs(config)
        if paths.gate(gate, spec.name) in jobs
    ]
    nulls = [name for name in jobs if isinstance(name, paths.NullsGate)]
    for evaluation in NULLS_ON:
        selected = [name for name in nulls if name.evaluation == evaluation]
        planned += [
            _nulls_row(config, name)
            for name in sorted(selected, key=lambda name: (name.base, name.hook_point))
        ]
    return planned


def _fidelity_row(config: Config, gate: str, spec: CoderSpec) -> RowPlan:
    """The row of an adapter's gate for one coder."""
    columns = {
        **coder_columns(config, spec),
        "coder_type": f"gate (encode fidelity, {gate}, {spec.architecture})",
        "dataset": f"{dataset(config, CHECKED_ON)} and random",
    }
    return RowPlan(f"gate-{gate}-{spec.name}", "gate", paths.gate(gate, spec.name), columns)


def _nulls_row(config: Config, name: paths.NullsGate) -> RowPlan:
    """The row of an evaluation's metric nulls at one hook point."""
    columns = {
        **model_columns(config, name.base),
        "hookpoint": str(name.hook_point),
        "coder_type": f"gate (metric nulls, {name.evaluation})",
        "dataset": dataset(config, NULLS_ON[name.evaluation]),
    }
    place = paths.on_model(str(name.hook_point), name.base).replace("@", "-")
    return RowPlan(f"gate-nulls-{name.evaluation}-{place}", "gate", name, columns)
