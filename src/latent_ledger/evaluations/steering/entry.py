"""Steering: texts about a concept that the model writes when a direction is added."""

from latent_ledger.evaluations.steering import plan, rows
from latent_ledger.evaluations.steering.checks import CHECKS
from latent_ledger.planning.stage import Evaluation
from latent_ledger.resources.memory import GIB, resident
from latent_ledger.resources.work import MB, Cost, Planned, Work


def _steering(job: Planned) -> Work:
    block = {**job.block("steering"), **job.settings}  # a further protocol overrides the block
    cells = 3 * len(block["coefficients"]) + 1
    concepts = len(block["concepts"])
    texts = concepts * (cells * block["generations"] + len(block["prompts"]) * block["scan"])
    passes = texts / block["batch"] * block["new_tokens"]
    sampled = block["batch"] * job.model.vocabulary
    return Work(
        forward=2.0 * texts * block["new_tokens"] * job.model.operations(),
        disk=2 * job.weights,
        steps=passes,
        weights=job.weights,
        # noise of every sampled token is drawn on the CPU, so that all devices draw the same
        seconds=10 + passes * sampled / 1e8 + 0.03 * passes * job.model.layers / 26,
        gpu_gib=resident(job.model, job.dtype) + 12.0 * sampled / GIB + 1,
        host_mb=(job.weights + 24.0 * sampled) / MB,
    )


EVALUATION = Evaluation(
    name=plan.NAME,
    token_set=plan.TOKEN_SET,
    gates=(),
    costs={"steering": Cost(_steering, gpu=True, mem_mb=3_000, lever="evaluations.steering.batch")},
    checks=CHECKS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
)
