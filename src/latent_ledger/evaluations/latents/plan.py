"""Planning of latent statistics: one job and one row per coder."""

from latent_ledger.config.coder_specs import coders_measured_by
from latent_ledger.planning import paths
from latent_ledger.planning.coders import measured
from latent_ledger.planning.stage import (
    Config,
    Jobs,
    PlannedJob,
    RowPlan,
    without,
)

NAME = "latents"
TOKEN_SET = "evaluation"


def jobs(config: Config) -> Jobs:
    """One job per coder, with the settings of the block."""
    return {
        paths.evaluation(NAME, spec.name): PlannedJob(
            NAME,
            without(config["evaluations"][NAME], "select"),
            {"tokens": paths.Tokens(TOKEN_SET), "codes": paths.Codes(TOKEN_SET, spec.name)},
            TOKEN_SET,
            spec.model,
            (spec,),
        )
        for spec in coders_measured_by(config, NAME)
    }


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """One row per coder."""
    return measured(config, NAME, TOKEN_SET, "latents")
