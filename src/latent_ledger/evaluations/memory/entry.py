"""The memory stage: the GPUs a scorer fits on, alone and with the model under study."""

from latent_ledger.evaluations.memory import plan, rows
from latent_ledger.planning.stage import Stage
from latent_ledger.resources.work import Cost, takes

EVALUATION = Stage(
    name=plan.NAME,
    costs={"memory_plan": Cost(takes(1), mem_mb=1_000)},
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
)
