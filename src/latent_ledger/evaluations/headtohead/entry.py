"""The head-to-head stage: paired contrasts of two coders over declared metrics."""

from latent_ledger.evaluations.headtohead import plan, rows
from latent_ledger.evaluations.headtohead.cost import COSTS
from latent_ledger.planning.stage import Stage

EVALUATION = Stage(
    name=plan.NAME,
    costs=COSTS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
)
