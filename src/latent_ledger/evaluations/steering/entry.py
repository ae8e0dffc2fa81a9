"""Steering: does adding a direction make the model write about a concept?"""

from latent_ledger.evaluations.steering import plan, rows
from latent_ledger.planning.stage import Stage

EVALUATION = Stage(
    plan.NAME,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
    captures=plan.captures,
    codes=plan.codes,
)
