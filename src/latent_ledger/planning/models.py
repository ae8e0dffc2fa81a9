"""Planning of the language model, its re-randomised controls, other models, and captures."""

from collections.abc import Iterable

from latent_ledger.artifacts.store import Payload
from latent_ledger.config.coder_specs import ORIGINAL, base, base_block, coder_specs
from latent_ledger.models.sources.registry import source_of
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Config,
    Context,
    Finding,
    Jobs,
    PlannedJob,
    RowPlan,
    Settings,
    Stage,
    dataset,
    embedded,
    model_columns,
)
from latent_ledger.resources.memory import GIB, resident
from latent_ledger.resources.work import DOWNLOAD, MB, Cost, Planned, Work


def model_settings(config: Config, name: str = ORIGINAL) -> Settings:
    """A training recipe for the embedded model, else the pinned source of a published one."""
    model = base_block(config, name)
    return source_of(model["source"]).settings(model)


def randomised(config: Config) -> dict[str, Settings]:
    """The re-randomised models that some coder is trained on, by name."""
    used = {spec.model for spec in coder_specs(config)}
    return {
        name: dict(settings)
        for name, settings in config["model"]["randomised"].items()
        if name in used
    }


def others(config: Config) -> dict[str, Settings]:
    """The other published models that some coder is trained on, by name."""
    used = {spec.model for spec in coder_specs(config)}
    return {
        name: model_settings(config, name) for name in config["model"]["others"] if name in used
    }


def capture_settings(config: Config, model: str = ORIGINAL) -> Settings:
    """What captures of one model share: number formats, batch, shards."""
    return {**config["activations"], "model_dtype": base_block(config, model)["dtype"]}


def capture_job(context: Context, name: paths.Activations) -> PlannedJob:
    """One hook point's activations. One job captures all hook points of its model and token set."""
    base_name = base(context.config, name.model)
    return PlannedJob(
        "capture",
        capture_settings(context.config, name.model) | {"hook_point": str(name.hook_point)},
        {"model": paths.model(name.model), "tokens": paths.Tokens(name.token_set, base_name)},
        token_set=name.token_set,
        model=name.model,
        record=f"activations/{paths.on_model(name.token_set, name.model)}.json",
    )


def jobs(config: Config) -> Jobs:
    """The model, its controls, and the other models."""
    text = {"text": paths.corpus("model")} if embedded(config) else {}
    planned = {paths.model(): PlannedJob("language_model", model_settings(config), text)}
    for name, settings in randomised(config).items():
        inputs = {"model": paths.model()}
        planned[paths.model(name)] = PlannedJob("randomised_model", settings, inputs, model=name)
    for name, settings in others(config).items():
        planned[paths.model(name)] = PlannedJob("language_model", settings, model=name)
    return planned


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """Rows of the embedded model (a published one has none), of each control, and of the parity
    gate of every capture."""
    planned = []
    if embedded(config):
        columns = {
            **model_columns(config),
            "coder_type": "language model",
            "dataset": f"{config['corpus']['source']}/model",
        }
        planned.append(RowPlan("model", "language_model", paths.model(), columns))
    for name, settings in randomised(config).items():
        columns = {
            **model_columns(config, name),
            "coder_type": "language model (control)",
            "seed": str(settings["seed"]),
        }
        planned.append(RowPlan(f"model-{name}", "randomised_model", paths.model(name), columns))
    return planned + [parity_row(config, name) for name in captures(jobs)]


def captures(planned: Iterable[str]) -> list[paths.Activations]:
    """Every captured hook point among manifests, by token set, model and hook point."""
    return sorted(
        (name for name in planned if isinstance(name, paths.Activations)),
        key=lambda name: (name.token_set, name.model, name.hook_point),
    )


def parity_row(config: Config, name: paths.Activations) -> RowPlan:
    """The row of the gate that every capture passes on its first batch."""
    columns = {
        **model_columns(config, name.model),
        "hookpoint": str(name.hook_point),
        "coder_type": "gate (hook-point parity)",
        "dataset": dataset(config, name.token_set),
    }
    dataset_key = paths.on_model(name.token_set, name.model).replace("@", "-")
    return RowPlan(f"parity-{dataset_key}-{name.hook_point}", "parity", name, columns)


def read_model(row: RowPlan, payload: Payload) -> Finding:
    """Held-out loss in nats per token and bits per byte."""
    facts = payload.facts
    text = (
        f"held-out loss {facts['held_out_nats_per_token']:.3f} nats/token = "
        f"{facts['held_out_bits_per_byte']:.3f} bits/byte "
        f"(n={facts['held_out_tokens']:,} tokens); {facts['parameters']:,} parameters"
    )
    return Finding(text, columns={"tokens": f"{facts['training_tokens']:,}"})


def read_randomised(row: RowPlan, payload: Payload) -> Finding:
    """Which weights were drawn anew, and from which seed."""
    facts = payload.facts
    kept = " and ".join(facts["kept"]) or "nothing"
    text = (
        f"{facts['redrawn']:,} of {facts['parameters']:,} parameters drawn anew from the model's "
        f"own initialisation (seed {facts['seed']}); kept: {kept}"
    )
    return Finding(text)


def read_parity(row: RowPlan, payload: Payload) -> Finding:
    """The measured relative error against TransformerLens, and its bound."""
    parity = payload.facts["parity"]
    text = (
        f"relative error {parity['relative_error']:.1e} against {parity['against']} "
        f"(bound {parity['bound']:.0e}; n={parity['rows']:,} tokens)"
    )
    return Finding(
        text,
        main={"name": "relative_error", "estimate": parity["relative_error"]},
        columns={"tokens": f"{payload.facts['n_rows']:,}"},
        reference={"value": 0.0, "tolerance": parity["bound"]},
    )


def _language_model(job: Planned) -> Work:
    if source_of(job.settings["source"]).trained:
        recipe = job.settings
        seen = recipe["steps"] * recipe["batch"] * recipe["context"]
        return Work(exact=3.0 * seen * job.model.operations(), seconds=20)
    hub = job.weights / DOWNLOAD
    return Work(disk=2 * job.weights, seconds=10 + hub, host_mb=job.weights / MB)


def _randomised(job: Planned) -> Work:
    drawn = job.model.parameters / 5e7
    return Work(disk=2 * job.weights, seconds=5 + drawn, host_mb=3 * job.weights / MB)


def _capture(job: Planned) -> Work:
    batch = job.config["activations"]["batch"] * job.config["tokens"]["context"]
    # TransformerLens' reference on the first batch, then ours, one at a time on the GPU
    return Work(
        forward=job.tokens * job.model.operations(job.layers),
        disk=3 * job.weights + job.hook_points * job.activations,
        gpu_gib=resident(job.model, job.dtype) + batch * 40.0 * job.d * 4 / GIB,
        host_mb=2 * job.weights / MB,
        seconds=5,
    )


STAGE = Stage(
    name="models",
    costs={
        "language_model": Cost(_language_model, mem_mb=4_000),
        "randomised_model": Cost(_randomised, mem_mb=4_000),
        "capture": Cost(_capture, gpu=True, mem_mb=4_000, lever="activations.batch"),
    },
    jobs=jobs,
    makes={paths.Activations: capture_job},
    rows=rows,
    readers={
        "language_model": read_model,
        "randomised_model": read_randomised,
        "parity": read_parity,
    },
    undecided=frozenset({"language_model", "randomised_model"}),
)
