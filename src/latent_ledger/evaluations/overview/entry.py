"""The overview stage: interpretability against loss recovered, the sweep over k, and seeds."""

from latent_ledger.evaluations.overview import plan, rows
from latent_ledger.evaluations.overview.checks import CHECKS
from latent_ledger.planning.stage import Stage
from latent_ledger.resources.work import Cost, takes

EVALUATION = Stage(
    name=plan.NAME,
    costs={"overview": Cost(takes(30))},
    checks=CHECKS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={"pareto": rows.read_pareto, "seeds": rows.read_seeds},
    undecided=frozenset({"pareto", "seeds"}),
    section=rows.section,
)
