"""The SAEBench stage, by its own code on cached activations: sparse probing, core cross-check.

    artifacts       prefilled activations and baselines of a hook point and size, for all its coders
    sparse_probing  sae_bench.evals.sparse_probing on one coder, without a model
    core            sae_bench.evals.core and our metrics, on the same activations

Source: Karvonen et al. 2025 (arXiv 2503.09532); https://github.com/adamkarvonen/SAEBench.
"""

from latent_ledger.evaluations.saebench import plan, rows
from latent_ledger.evaluations.saebench.checks import CHECKS
from latent_ledger.evaluations.saebench.cost import COSTS
from latent_ledger.planning import paths
from latent_ledger.planning.stage import Evaluation

EVALUATION = Evaluation(
    name=plan.NAME,
    token_set=plan.TOKEN_SET,
    gates=(paths.SaelensGate,),
    costs=COSTS,
    checks=CHECKS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read_probing, plan.CORE: rows.read_core},
    section=rows.section,
    token_sets=plan.token_sets,
)
