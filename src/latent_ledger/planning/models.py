"""The language model, its re-randomised controls, other published models, and their captures."""

from __future__ import annotations

from latent_ledger.artifacts.store import Payload
from latent_ledger.config.coder_specs import ORIGINAL, base, base_block, coder_specs
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.models.sources.registry import source_of
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Finding,
    Jobs,
    RowPlan,
    Settings,
    Stage,
    dataset,
    embedded,
    model_columns,
)


def model_settings(config: Config, name: str = ORIGINAL) -> Settings:
    """A training recipe for the embedded model, else the pinned source of a published one."""
    model = base_block(config, name)
    return source_of(model["source"]).settings(model)


def randomised(config: Config) -> dict[str, Settings]:
    """The re-randomised models that some coder is trained on, by name."""
    used = {spec.model for spec in coder_specs(config)}
    return {name: dict(how) for name, how in config["model"]["randomised"].items() if name in used}


def others(config: Config) -> dict[str, Settings]:
    """The other published models that some coder is trained on, by name."""
    used = {spec.model for spec in coder_specs(config)}
    return {
        name: model_settings(config, name) for name in config["model"]["others"] if name in used
    }


def capture_settings(
    config: Config, hook_points: list[HookPoint], model: str = ORIGINAL
) -> Settings:
    """One part per hook point: a new layer or coder forwards only for the hook points the store
    lacks.
    """
    return {
        **config["activations"],
        "model_dtype": base_block(config, model)["dtype"],
        "parts": {str(hook_point): {"hook_point": str(hook_point)} for hook_point in hook_points},
    }


def jobs(config: Config) -> Jobs:
    """The model, its controls, and the other models."""
    found: Jobs = {paths.model(): ("language_model", model_settings(config))}
    for name, how in randomised(config).items():
        found[paths.model(name)] = ("randomised_model", how)
    for name, how in others(config).items():
        found[paths.model(name)] = ("language_model", how)
    return found


def rows(config: Config) -> list[RowPlan]:
    """How well the embedded model predicts text (a published one needs no row), and the controls:
    what was drawn anew."""
    found = []
    if embedded(config):
        columns = {
            **model_columns(config),
            "coder_type": "language model",
            "dataset": f"{config['corpus']['source']}/model",
        }
        found.append(
            RowPlan("model", "language_model", paths.model(), columns, needs=[paths.model()])
        )
    for name, how in randomised(config).items():
        columns = {
            **model_columns(config, name),
            "coder_type": "language model (control)",
            "seed": str(how["seed"]),
        }
        path = paths.model(name)
        needs = [paths.model(), path]
        found.append(RowPlan(f"model-{name}", "randomised_model", path, columns, needs=needs))
    return found


def parity_row(config: Config, capture: Capture) -> RowPlan:
    """The row of the gate that every capture passes on its first batch."""
    path = paths.activations(capture.split, capture.hook_point, capture.model)
    over = paths.over(capture.split, capture.model)
    columns = {
        **model_columns(config, capture.model),
        "hookpoint": str(capture.hook_point),
        "coder_type": "gate (hook-point parity)",
        "dataset": dataset(config, capture.split),
    }
    tokens = paths.tokens(capture.split, base(config, capture.model))
    needs = [paths.model(capture.model), tokens, path]
    run_id = f"parity-{over.replace('@', '-')}-{capture.hook_point}"
    return RowPlan(run_id, "parity", path, columns, needs=needs)


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


STAGE = Stage(
    "models",
    jobs=jobs,
    rows=rows,
    readers={
        "language_model": read_model,
        "randomised_model": read_randomised,
        "parity": read_parity,
    },
)
