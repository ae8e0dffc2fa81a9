"""Gates: what must hold before a number may earn its row."""

from latent_ledger.evaluations.gates import plan, rows
from latent_ledger.planning.stage import Stage

EVALUATION = Stage(
    "gates",
    jobs=plan.jobs,
    rows=plan.rows,
    readers={"gate": rows.read},
    section=rows.section,
    captures=plan.captures,
)
