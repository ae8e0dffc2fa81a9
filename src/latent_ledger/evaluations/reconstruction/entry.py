"""Reconstruction: how faithfully each coder rebuilds its target."""

from latent_ledger.evaluations.reconstruction import plan, rows
from latent_ledger.evaluations.reconstruction.checks import CHECKS
from latent_ledger.planning import paths
from latent_ledger.planning.stage import Evaluation
from latent_ledger.resources.memory import GIB, resident
from latent_ledger.resources.work import MB, Cost, Planned, Work, resampling


def _reconstruction(job: Planned) -> Work:
    block, context = job.block("reconstruction"), job.config["tokens"]["context"]
    spliced = min(block["splice_contexts"] * context, job.tokens)
    logits = block["batch"] * context * job.model.vocabulary * 4
    return Work(
        exact=3 * spliced * job.model.operations() + 3 * job.encoded(spliced),
        disk=2 * job.weights + 2 * job.activations,
        seconds=resampling(job) + job.tokens * job.k * job.d / 2e9,
        # the model runs in fp32; two sets of logits at a time, and the copies that end in them
        gpu_gib=resident(job.model, "float32") + (5.0 * logits + job.coder_bytes) / GIB,
        host_mb=(4.0 * job.model.parameters + 2 * job.activations) / MB,
    )


EVALUATION = Evaluation(
    name=plan.NAME,
    token_set=plan.TOKEN_SET,
    gates=(paths.NullsGate,),
    costs={
        "reconstruction": Cost(
            _reconstruction, gpu=True, mem_mb=3_000, lever="evaluations.reconstruction.batch"
        )
    },
    checks=CHECKS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
    token_sets=plan.token_sets,
)
