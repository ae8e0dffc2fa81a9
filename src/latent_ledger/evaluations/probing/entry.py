"""Probing: concepts of the text, read off the codes by logistic probes."""

from latent_ledger.evaluations.probing import plan, rows
from latent_ledger.planning import paths
from latent_ledger.planning.stage import Evaluation
from latent_ledger.resources.work import MB, PROBE, Cost, Planned, Work, resampling


def _probing(job: Planned) -> Work:
    values = job.examples() * (job.width + job.d)
    return Work(seconds=resampling(job) + values / PROBE, host_mb=16 * values / MB)


EVALUATION = Evaluation(
    name=plan.NAME,
    token_set=plan.TOKEN_SET,
    gates=(paths.NullsGate,),
    costs={"probing": Cost(_probing, mem_mb=3_000)},
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
    token_sets=plan.token_sets,
)
