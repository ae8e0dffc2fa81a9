"""Latent statistics: how often each latent fires, and on how many different tokens."""

from latent_ledger.evaluations.latents import plan, rows
from latent_ledger.evaluations.latents.cost import COSTS
from latent_ledger.planning.stage import Evaluation

EVALUATION = Evaluation(
    name=plan.NAME,
    token_set=plan.TOKEN_SET,
    gates=(),
    costs=COSTS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
)
