"""The overview stage: interpretability against loss recovered, the sweep over k, and seeds."""

from latent_ledger.evaluations.overview import plan, rows
from latent_ledger.evaluations.overview.checks import CHECKS
from latent_ledger.evaluations.overview.cost import COSTS
from latent_ledger.planning.stage import Stage

EVALUATION = Stage(
    name=plan.NAME,
    costs=COSTS,
    checks=CHECKS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={"pareto": rows.read_pareto, "seeds": rows.read_seeds},
    undecided=frozenset({"pareto", "seeds"}),
    section=rows.section,
)
