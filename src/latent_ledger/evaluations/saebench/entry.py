"""The SAEBench stage, by its own code on cached activations: sparse probing, core cross-check.

    artifacts       prefilled activations and baselines of a hook point and size, for all its coders
    sparse_probing  sae_bench.evals.sparse_probing on one coder, without a model
    core            sae_bench.evals.core and our metrics, on the same activations

Source: Karvonen et al. 2025 (arXiv 2503.09532); https://github.com/adamkarvonen/SAEBench.
"""

from latent_ledger.evaluations.saebench import plan, rows
from latent_ledger.evaluations.saebench.checks import CHECKS
from latent_ledger.planning import paths
from latent_ledger.planning.stage import Evaluation
from latent_ledger.resources.memory import GIB, PROCESS, resident
from latent_ledger.resources.work import MB, PROBE, Cost, Planned, Work, resampling


def _saebench_core(job: Planned) -> Work:
    core = job.block("saebench")["core"]
    context = job.config["tokens"]["context"]
    tokens = min(core["contexts"] * context, job.tokens)
    logits = core["batch"] * context * job.model.vocabulary * 4
    return Work(
        exact=8 * tokens * job.model.operations() + 4 * job.encoded(tokens),
        disk=2 * job.weights,
        seconds=5,
        gpu_gib=resident(job.model, "float32") + (5.0 * logits + 2 * job.coder_bytes) / GIB,
        host_mb=4.0 * job.model.parameters / MB,
    )


def _saebench_draw(job: Planned) -> Work:
    texts = sum(plan.text_count(job.config, size) for size in job.settings["sizes"])
    return Work(seconds=60 + texts / 200, host_mb=6_000)


def _saebench_artifacts(job: Planned) -> Work:
    texts = plan.text_count(job.config, f"{job.settings['train']}-{job.settings['test']}")
    held = texts * plan.text_context(job.config) * job.d * 2
    return Work(disk=2 * held, seconds=15 + texts * job.d * 20 / PROBE, host_mb=3 * held / MB)


def _saebench(job: Planned) -> Work:
    each = [plan.text_count(job.config, size) for size in job.settings["sizes"]]
    texts, context = sum(each) * len(job.settings["datasets"]), plan.text_context(job.config)
    held = max(each) * (4.0 * job.width + 2.0 * job.d * context)
    batch = job.settings["batch"] * context * job.width * 4
    return Work(
        exact=job.encoded(texts * context),
        disk=texts * context * job.d * 2,
        seconds=resampling(job) + texts * (job.width + job.d) / PROBE,
        gpu_gib=PROCESS + (job.coder_bytes + 3.0 * batch) / GIB,
        host_mb=(2 * held + batch + 2 * job.coder_bytes) / MB,
    )


EVALUATION = Evaluation(
    name=plan.NAME,
    token_set=plan.TOKEN_SET,
    gates=(paths.SaelensGate,),
    costs={
        "saebench_texts": Cost(_saebench_draw),
        "saebench_artifacts": Cost(_saebench_artifacts, mem_mb=3_000),
        "saebench": Cost(_saebench, gpu=True, mem_mb=4_000, lever="evaluations.saebench.batch"),
        "saebench_core": Cost(
            _saebench_core, gpu=True, mem_mb=3_000, lever="evaluations.saebench.core.batch"
        ),
    },
    checks=CHECKS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read_probing, plan.CORE: rows.read_core},
    section=rows.section,
    token_sets=plan.token_sets,
)
