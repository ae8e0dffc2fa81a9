"""Steering: does adding a direction make the model write about a concept?"""

from latent_ledger.evaluations.steering import plan, rows
from latent_ledger.evaluations.steering.cost import COSTS
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
