"""The head-to-head stage: paired contrasts of two coders over declared metrics."""

from latent_ledger.evaluations.headtohead import plan, rows
from latent_ledger.planning.stage import Stage
from latent_ledger.resources.work import Cost, Work

EVALUATION = Stage(
    name=plan.NAME,
    costs={"headtohead": Cost(lambda job: Work(seconds=20))},
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
)
