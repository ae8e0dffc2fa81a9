"""The stage of the gates: conditions that hold before a number may earn its row."""

from latent_ledger.evaluations.gates import plan, rows
from latent_ledger.evaluations.gates.cost import COSTS
from latent_ledger.planning import paths
from latent_ledger.planning.stage import Stage

EVALUATION = Stage(
    name="gates",
    costs=COSTS,
    makes={
        paths.ReaderGate: plan.reader_job,
        paths.SaelensGate: plan.saelens_job,
        paths.NullsGate: plan.nulls_job,
    },
    rows=plan.rows,
    readers={"gate": rows.read},
    section=rows.section,
)
