"""Probing: concepts of the text, read off the codes by logistic probes."""

from latent_ledger.evaluations.probing import plan, rows
from latent_ledger.evaluations.probing.cost import COSTS
from latent_ledger.planning import paths
from latent_ledger.planning.stage import Evaluation

EVALUATION = Evaluation(
    name=plan.NAME,
    token_set=plan.TOKEN_SET,
    gates=(paths.NullsGate,),
    costs=COSTS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
    token_sets=plan.token_sets,
)
