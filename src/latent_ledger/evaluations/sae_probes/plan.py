"""Planning of sae_probes: the primary probing benchmark, over many labelled data sets."""

from latent_ledger.config.coder_specs import coders_measured_by
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Config,
    Jobs,
    PlannedJob,
    RowPlan,
    TokenSet,
    coder_columns,
    embedded,
)

NAME = "sae_probes"
TEXTS = "probe_texts"
BASELINE = "sae_probes_baseline"
TOKEN_SET = "sae-probes"
"""Token set of the drawn texts, one per row."""

TEXTS_PATH = "probe_texts.json"
SETTINGS = ("top_k", "penalty", "seeds", "resamples", "seed")
"""Settings of the probes; the draw of texts and the baselines have theirs."""


def token_sets(config: Config) -> dict[str, TokenSet]:
    """The token set of the drawn texts: one text per row, the end of a long one."""
    if NAME not in config["evaluations"]:
        return {}
    block = config["evaluations"][NAME]
    size = len(block["datasets"]) * block["examples"] * block["context"]
    settings = {"layout": "examples", "context": block["context"]}
    return {TOKEN_SET: TokenSet(TEXTS_PATH, settings, size)}


def trained_on(config: Config) -> list[str]:
    """Manifests of the corpus parts whose texts no probe may see."""
    return [
        paths.corpus(corpus_split)
        for corpus_split in (["model"] if embedded(config) else []) + ["coder"]
    ]


def baseline(dataset_key: str, hook_point: HookPoint | str) -> str:
    """The prefilled activations and the logistic regression on them, of one hook point."""
    return f"{BASELINE}/{dataset_key}/{hook_point}.json"


def jobs(config: Config) -> Jobs:
    """The draw of texts, a baseline per hook point, and the probes per coder."""
    block = config["evaluations"].get(NAME)
    if block is None:
        return {}
    draw = {key: block[key] for key in ("datasets", "examples", "seed")}
    planned: Jobs = {TEXTS_PATH: PlannedJob(TEXTS, draw, {"trained_on": trained_on(config)})}
    tokens = paths.Tokens(TOKEN_SET)
    for spec in coders_measured_by(config, NAME):
        raw = paths.Activations(TOKEN_SET, spec.site.input_hook, spec.model)
        base = baseline(paths.on_model(TOKEN_SET, spec.model), spec.site.input_hook)
        planned[base] = PlannedJob(
            BASELINE,
            {"seeds": block["seeds"]},
            {"tokens": tokens, "raw": raw},
            TOKEN_SET,
            spec.model,
        )
        inputs = {
            "tokens": tokens,
            "coder": paths.coder(spec.name),
            "gate": paths.SaelensGate(spec.name),
            "baseline": base,
        }
        settings = {key: block[key] for key in SETTINGS}
        planned[paths.evaluation(NAME, spec.name)] = PlannedJob(
            NAME, settings, inputs, TOKEN_SET, spec.model, (spec,)
        )
    return planned


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """One row per coder."""
    planned = []
    for spec in coders_measured_by(config, NAME):
        sets = len(config["evaluations"][NAME]["datasets"])
        columns = {
            **coder_columns(config, spec, "sae_probes"),
            "dataset": f"sae_probes ({sets} data sets)",
        }
        path = paths.evaluation(NAME, spec.name)
        planned.append(RowPlan(f"saeprobes-{spec.name}", NAME, path, columns))
    return planned
