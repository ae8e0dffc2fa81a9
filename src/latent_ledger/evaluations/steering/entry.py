"""Steering: texts about a concept that the model writes when a direction is added."""

from latent_ledger.evaluations.steering import plan, rows
from latent_ledger.evaluations.steering.checks import CHECKS
from latent_ledger.evaluations.steering.cost import COSTS
from latent_ledger.planning.stage import Evaluation

EVALUATION = Evaluation(
    name=plan.NAME,
    token_set=plan.TOKEN_SET,
    gates=(),
    costs=COSTS,
    checks=CHECKS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
)
