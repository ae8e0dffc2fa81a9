"""Probing: do the codes carry what the text is about?"""

from latent_ledger.evaluations.probing import plan, rows
from latent_ledger.planning.stage import Stage

EVALUATION = Stage(
    plan.NAME,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
    captures=plan.captures,
    codes=plan.codes,
    token_sets=plan.token_sets,
)
