"""Cost of SAEBench's jobs, in operations, bytes and seconds."""

from collections.abc import Mapping
from typing import Any

from latent_ledger.resources.memory import PROCESS, resident
from latent_ledger.resources.work import GIB, MB, PROBE, Cost, Planned, Work, resampling

CLASSES = 5
"""Most classes of a data set of SAEBench."""


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


def text_count(config: Mapping[str, Any], size: str) -> float:
    """Texts of all classes of one data set at one size.

    A probe takes half of its examples from its class.
    """
    datasets = config["evaluations"]["saebench"]["datasets"]
    classes = CLASSES if datasets else len(config["evaluations"]["probing"]["concepts"])
    return classes * sum(map(int, size.split("-"))) / 2


def text_context(config: Mapping[str, Any]) -> int:
    """Tokens of a text in SAEBench's sparse probing."""
    block = config["evaluations"]["saebench"]
    return (block if block["datasets"] else config["evaluations"]["probing"])["context"]


def _saebench_draw(job: Planned) -> Work:
    texts = sum(text_count(job.config, size) for size in job.settings["sizes"])
    return Work(seconds=60 + texts / 200, host_mb=6_000)


def _saebench_artifacts(job: Planned) -> Work:
    texts = text_count(job.config, f"{job.settings['train']}-{job.settings['test']}")
    held = texts * text_context(job.config) * job.d * 2
    return Work(disk=2 * held, seconds=15 + texts * job.d * 20 / PROBE, host_mb=3 * held / MB)


def _saebench(job: Planned) -> Work:
    each = [text_count(job.config, size) for size in job.settings["sizes"]]
    texts, context = sum(each) * len(job.settings["datasets"]), text_context(job.config)
    held = max(each) * (4.0 * job.width + 2.0 * job.d * context)
    batch = job.settings["batch"] * context * job.width * 4
    return Work(
        exact=job.encoded(texts * context),
        disk=texts * context * job.d * 2,
        seconds=resampling(job) + texts * (job.width + job.d) / PROBE,
        gpu_gib=PROCESS + (job.coder_bytes + 3.0 * batch) / GIB,
        host_mb=(2 * held + batch + 2 * job.coder_bytes) / MB,
    )


COSTS = {
    "saebench_texts": Cost(_saebench_draw),
    "saebench_artifacts": Cost(_saebench_artifacts, mem_mb=3_000),
    "saebench": Cost(_saebench, gpu=True, mem_mb=4_000, lever="evaluations.saebench.batch"),
    "saebench_core": Cost(
        _saebench_core, gpu=True, mem_mb=3_000, lever="evaluations.saebench.core.batch"
    ),
}
