"""Planning of probing: one job and one row per coder, and the labelled token set."""

from latent_ledger.config.coder_specs import coders_measured_by
from latent_ledger.planning import paths
from latent_ledger.planning.coders import measured
from latent_ledger.planning.stage import (
    Config,
    Jobs,
    PlannedJob,
    RowPlan,
    TokenSet,
)

NAME = "probing"
TOKEN_SET = "probing"
SETTINGS = ("concepts", "top_k", "resamples", "seed")
"""Settings of the evaluation; the other keys of the block describe the draw of examples."""


def token_sets(config: Config) -> dict[str, TokenSet]:
    """The labelled token set: one example per row."""
    if NAME not in config["evaluations"]:
        return {}
    block = config["evaluations"][NAME]
    texts = len(block["concepts"]) * sum(block["examples"].values())
    settings = {"layout": "examples", "context": block["context"]}
    return {TOKEN_SET: TokenSet(paths.CONCEPTS, settings, texts * block["context"])}


def jobs(config: Config) -> Jobs:
    """Probes of every coder, behind the nulls at its input hook."""
    return {
        paths.evaluation(NAME, spec.name): PlannedJob(
            NAME,
            {key: config["evaluations"][NAME][key] for key in SETTINGS},
            {
                "tokens": paths.Tokens(TOKEN_SET),
                "raw": paths.Activations(TOKEN_SET, spec.site.input_hook, spec.model),
                "codes": paths.Codes(TOKEN_SET, spec.name),
                "gate": paths.NullsGate(NAME, spec.site.input_hook),
            },
            TOKEN_SET,
            spec.model,
            (spec,),
        )
        for spec in coders_measured_by(config, NAME)
    }


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """One row per coder."""
    return measured(config, NAME, TOKEN_SET, "probe")
