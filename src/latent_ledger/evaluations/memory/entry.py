"""The memory stage: the GPUs a scorer fits on, alone and with the model under study."""

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
