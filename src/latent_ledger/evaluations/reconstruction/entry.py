"""Reconstruction: how faithfully each coder rebuilds its target."""

from latent_ledger.evaluations.reconstruction import plan, rows
from latent_ledger.evaluations.reconstruction.checks import CHECKS
from latent_ledger.evaluations.reconstruction.cost import COSTS
from latent_ledger.planning import paths
from latent_ledger.planning.stage import Evaluation

EVALUATION = Evaluation(
    name=plan.NAME,
    token_set=plan.TOKEN_SET,
    gates=(paths.NullsGate,),
    costs=COSTS,
    checks=CHECKS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
    token_sets=plan.token_sets,
)
