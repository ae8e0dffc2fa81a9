"""Cost of the jobs of text, models and coders, in operations, bytes and seconds.

One function per rule, those of an evaluation in its own folder, so that an estimate can be read
and disputed in one line. The formulas are
plain: a forward pass is 2 operations per weight and token; encoding is 2 d w per token, training a
coder three times that; a served prompt is its length forward and its answer token by token. What is
neither (probes, bootstraps, drawing examples) is seconds of one CPU core, from the records of the
laptop experiment scaled by its sizes. Estimates are meant to be right within a factor of two.
"""

from latent_ledger.models.sources.registry import source_of
from latent_ledger.resources.memory import PROCESS, resident
from latent_ledger.resources.work import DOWNLOAD, GIB, MB, Cost, Planned, Work, takes


def _language_model(job: Planned) -> Work:
    if source_of(job.settings["source"]).trained:
        recipe = job.settings
        seen = recipe["steps"] * recipe["batch"] * recipe["context"]
        return Work(exact=3.0 * seen * job.model.operations(), seconds=20)
    hub = job.weights / DOWNLOAD
    return Work(disk=2 * job.weights, seconds=10 + hub, host_mb=job.weights / MB)


def _randomised(job: Planned) -> Work:
    drawn = job.model.parameters / 5e7
    return Work(disk=2 * job.weights, seconds=5 + drawn, host_mb=3 * job.weights / MB)


def _capture(job: Planned) -> Work:
    batch = job.config["activations"]["batch"] * job.config["tokens"]["context"]
    # TransformerLens' reference on the first batch, then ours, one at a time on the GPU
    return Work(
        forward=job.tokens * job.model.operations(job.layers),
        disk=3 * job.weights + job.hook_points * job.activations,
        gpu_gib=resident(job.model, job.dtype) + batch * 40.0 * job.d * 4 / GIB,
        host_mb=2 * job.weights / MB,
        seconds=5,
    )


def _train_coder(job: Planned) -> Work:
    recipe = job.settings
    steps = job.tokens / recipe["batch_tokens"]
    hook_points = 1 if job.coders[0].site.autoencodes else 2
    latents = 4.0 * recipe["batch_tokens"] * job.width
    return Work(
        exact=3 * job.encoded(job.tokens),
        disk=hook_points * job.activations,
        seconds=5 + 0.02 * steps,
        gpu_gib=PROCESS + (3 * job.coder_bytes + 4 * latents) / GIB,
        host_mb=3 * job.coder_bytes / MB,
    )


def _pretrained_coder(job: Planned) -> Work:
    return Work(disk=job.coder_bytes, seconds=5 + job.coder_bytes / DOWNLOAD)


def _encode(job: Planned) -> Work:
    return Work(
        exact=job.encoded(job.tokens),
        disk=job.activations + job.tokens * job.k * 8,
        seconds=2 + job.tokens * job.k / 1e7,
        gpu_gib=PROCESS + job.coder_bytes / GIB + 2,
        host_mb=job.coder_bytes / MB,
    )


TEXT = {
    "corpus": Cost(takes(40)),
    "corpus_slice": Cost(takes(40)),
    "concepts": Cost(takes(20)),
    "tokens": Cost(lambda job: Work(seconds=5 + job.tokens / 2e5)),
}

MODELS = {
    "language_model": Cost(_language_model, mem_mb=4_000),
    "randomised_model": Cost(_randomised, mem_mb=4_000),
    "capture": Cost(_capture, gpu=True, mem_mb=4_000, lever="activations.batch"),
}

CODERS = {
    "train_coder": Cost(_train_coder, gpu=True, mem_mb=4_000),
    "pretrained_coder": Cost(_pretrained_coder, mem_mb=4_000),
    "encode": Cost(_encode, gpu=True, mem_mb=3_000),
}

LEDGER = {"ledger": Cost(takes(20), mem_mb=1_000)}
