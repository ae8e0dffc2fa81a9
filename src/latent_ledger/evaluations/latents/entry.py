"""Latent statistics: how often each latent fires, and on how many different tokens."""

from latent_ledger.evaluations.latents import plan, rows
from latent_ledger.planning.stage import Evaluation
from latent_ledger.resources.work import MB, Cost, Planned, Work, resampling


def _latents(job: Planned) -> Work:
    firings = job.tokens * job.k
    return Work(
        disk=8 * firings, seconds=resampling(job) + firings / 2e6, host_mb=40 * firings / MB
    )


EVALUATION = Evaluation(
    name=plan.NAME,
    token_set=plan.TOKEN_SET,
    gates=(),
    costs={"latents": Cost(_latents)},
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
)
