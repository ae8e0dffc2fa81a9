"""The memory planner: on which GPU a scorer fits, beside the model under study and alone."""

from latent_ledger.evaluations.memory import plan, rows
from latent_ledger.evaluations.memory.cost import COSTS
from latent_ledger.planning.stage import Stage

EVALUATION = Stage(
    name=plan.NAME,
    costs=COSTS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
)
