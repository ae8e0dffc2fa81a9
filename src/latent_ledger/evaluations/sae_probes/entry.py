"""The sae_probes stage: the primary probing benchmark, by its own code on cached activations.

    texts      examples of its data sets on which neither model nor coder was trained
    upstream   the package's access to those examples and their activations
    baselines  its logistic regression on the raw last-token activations, once per input hook
    probes     its sparse probes on a coder's latents of the same activations

Source: Kantamneni et al. 2025 (arXiv 2502.16681); https://github.com/sae-probes/sae-probes.
"""

from latent_ledger.evaluations.sae_probes import plan, rows
from latent_ledger.evaluations.sae_probes.checks import CHECKS
from latent_ledger.evaluations.sae_probes.cost import COSTS
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
    readers={plan.NAME: rows.read},
    section=rows.section,
    token_sets=plan.token_sets,
)
