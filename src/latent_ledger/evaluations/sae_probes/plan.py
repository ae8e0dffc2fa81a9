"""sae_probes: the primary probing benchmark, over many labelled data sets."""

from __future__ import annotations

from latent_ledger.config.coder_specs import CoderSpec
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.planning import paths
from latent_ledger.planning.coders import way_to
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Jobs,
    RowPlan,
    Settings,
    coder_columns,
    coders_measured_by,
    embedded,
)

NAME = "sae_probes"
TEXTS = "probe_texts"
BASELINE = "sae_probes_baseline"
SPLIT = "sae-probes"
"""Token set of the drawn texts, one per row."""
TEXTS_PATH = "results/probe_texts.json"
OWN = ("top_k", "penalty", "seeds", "resamples", "seed")
"""Settings of the probes; the draw of texts and the baselines have theirs."""


def token_sets(config: Config) -> dict[str, tuple[str, Settings]]:
    """One labelled text per row, the end of a long one."""
    if NAME not in config["evaluations"]:
        return {}
    context = config["evaluations"][NAME]["context"]
    return {SPLIT: (TEXTS_PATH, {"layout": "examples", "context": context})}


def captures(config: Config) -> set[Capture]:
    """What the coders read."""
    return {
        Capture(SPLIT, one.model, one.site.input_hook) for one in coders_measured_by(config, NAME)
    }


def trained_on(config: Config) -> list[str]:
    """Manifests of the corpus parts whose texts no probe may be asked about."""
    return [paths.corpus(part) for part in (["model"] if embedded(config) else []) + ["coder"]]


def baseline(hook_point: HookPoint | str, model: str = paths.ORIGINAL) -> str:
    """The prefilled activations and the logistic regression on them, of one hook point."""
    return f"results/{BASELINE}/{paths.over(SPLIT, model)}/{hook_point}.json"


def gate(one: CoderSpec) -> str:
    """The adapter's fidelity gate, which blocks the probes."""
    return paths.gate("saelens", one.name)


def jobs(config: Config) -> Jobs:
    """The draw of texts, a baseline per hook point, and the probes per coder."""
    block = config["evaluations"].get(NAME)
    if block is None:
        return {}
    draw = {key: block[key] for key in ("datasets", "examples", "seed")}
    found: Jobs = {TEXTS_PATH: (TEXTS, draw)}
    for one in coders_measured_by(config, NAME):
        hook_point = baseline(one.site.input_hook, one.model)
        found[hook_point] = (BASELINE, {"seeds": block["seeds"]})
        found[paths.evaluation(NAME, one.name)] = (NAME, {key: block[key] for key in OWN})
    return found


def rows(config: Config) -> list[RowPlan]:
    """One row per coder."""
    found = []
    for one in coders_measured_by(config, NAME):
        sets = len(config["evaluations"][NAME]["datasets"])
        columns = {
            **coder_columns(config, one, "sae_probes"),
            "dataset": f"sae_probes ({sets} data sets)",
        }
        path = paths.evaluation(NAME, one.name)
        needs = [
            *way_to(one),
            gate(one),
            TEXTS_PATH,
            paths.tokens(SPLIT),
            paths.activations(SPLIT, one.site.input_hook, one.model),
            baseline(one.site.input_hook, one.model),
            path,
        ]
        found.append(RowPlan(f"saeprobes-{one.name}", NAME, path, columns, needs=needs))
    return found
