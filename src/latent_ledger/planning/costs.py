"""What each rule has to do, in operations, bytes and seconds, from its settings and sizes.

One function per rule, so that an estimate can be read and disputed in one line. The formulas are
plain: a forward pass is 2 operations per weight and token; encoding is 2 d w per token, training a
coder three times that; a served prompt is its length forward and its answer token by token. What is
neither (probes, bootstraps, drawing examples) is seconds of one CPU core, from the records of the
laptop experiment scaled by its sizes. Estimates are meant to be right within a factor of two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from latent_ledger.resources.memory import PROCESS, resident
from latent_ledger.resources.work import Planned, Work
from latent_ledger.scorers.kind import Questions
from latent_ledger.scorers.registry import kind_of

MB, GIB = 1e6, 1024**3
EXPLAIN_PROMPT, EXPLAIN_ANSWER = 2_900, 250
"""Tokens of a prompt that asks delphi's explainer, and of its answer."""
PROMPTS = {"detection": 760, "fuzzing": 960, "fuzzing_matched": 960, "intruder": 960}
SCORE_ANSWER = 20
"""Tokens of a scorer's prompt, by what it is asked, and of its answer."""
DOWNLOAD = 1e8
"""Bytes per second from the Hugging Face hub."""
CLASSES = 5
"""Classes of a data set of SAEBench's own, at most."""
PROBE = 2e6
"""Values (examples x features) that one core fits a logistic probe to per second."""


# -- text and model -------------------------------------------------------------------------------


def _language_model(job: Planned) -> Work:
    if job.settings.get("source") == "embedded":
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


# -- coders ---------------------------------------------------------------------------------------


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


def _fidelity(job: Planned) -> Work:
    rows = job.settings["random_rows"] + job.settings["real_rows"]
    return Work(
        exact=4 * job.encoded(rows),
        disk=job.coder_bytes,
        seconds=5,
        host_mb=4 * (job.coder_bytes + 4.0 * rows * job.width) / MB,
    )


# -- evaluations ----------------------------------------------------------------------------------


def _resampling(job: Planned) -> float:
    """Seconds of the bootstraps of one evaluation."""
    return 2 + job.settings.get("resamples", 0) / 1_000


def _reconstruction(job: Planned) -> Work:
    block, context = job.block("reconstruction"), job.config["tokens"]["context"]
    spliced = min(block["splice_contexts"] * context, job.tokens)
    logits = block["batch"] * context * job.model.vocabulary * 4
    return Work(
        exact=3 * spliced * job.model.operations() + 3 * job.encoded(spliced),
        disk=2 * job.weights + 2 * job.activations,
        seconds=_resampling(job) + job.tokens * job.k * job.d / 2e9,
        # the model runs in fp32; two sets of logits at a time, and the copies that end in them
        gpu_gib=resident(job.model, "float32") + (5.0 * logits + job.coder_bytes) / GIB,
        host_mb=(4.0 * job.model.parameters + 2 * job.activations) / MB,
    )


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


def _latents(job: Planned) -> Work:
    firings = job.tokens * job.k
    return Work(
        disk=8 * firings, seconds=_resampling(job) + firings / 2e6, host_mb=40 * firings / MB
    )


def _probing(job: Planned) -> Work:
    values = job.examples() * (job.width + job.d)
    return Work(seconds=_resampling(job) + values / PROBE, host_mb=16 * values / MB)


def _probing_nulls(job: Planned) -> Work:
    return Work(disk=job.activations, seconds=10, host_mb=8 * job.activations / MB)


def _reconstruction_nulls(job: Planned) -> Work:
    return Work(disk=job.activations, seconds=_resampling(job), host_mb=4 * job.activations / MB)


def _sae_probes_sets(job: Planned) -> tuple[float, float]:
    """Examples of all data sets, and the number of fits over them."""
    block = job.block("sae_probes")
    return len(block["datasets"]) * block["examples"], len(block["seeds"])


def _sae_probes_baseline(job: Planned) -> Work:
    texts, seeds = _sae_probes_sets(job)
    return Work(disk=job.activations, seconds=5 + texts * seeds * job.d / PROBE, host_mb=2_000)


def _sae_probes(job: Planned) -> Work:
    texts, seeds = _sae_probes_sets(job)
    features = sum(job.settings["top_k"])
    seconds = _resampling(job) + texts * seeds * (features + job.d / 10) / PROBE
    held = 4.0 * texts / len(job.block("sae_probes")["datasets"]) * job.width
    return Work(
        exact=job.encoded(texts), seconds=seconds, host_mb=(job.coder_bytes + 4 * held) / MB
    )


def saebench_texts(config: Mapping[str, Any], size: str) -> float:
    """Texts of all classes of one data set at one size; a probe takes half of its examples from
    each class."""
    own = config["evaluations"]["saebench"]["datasets"]
    classes = CLASSES if own else len(config["evaluations"]["probing"]["concepts"])
    return classes * sum(map(int, size.split("-"))) / 2


def saebench_context(config: Mapping[str, Any]) -> int:
    """Tokens of a text in SAEBench's sparse probing."""
    block = config["evaluations"]["saebench"]
    return (block if block["datasets"] else config["evaluations"]["probing"])["context"]


def _saebench_draw(job: Planned) -> Work:
    texts = sum(saebench_texts(job.config, size) for size in job.settings["sizes"])
    return Work(seconds=60 + texts / 200, host_mb=6_000)


def _saebench_artifacts(job: Planned) -> Work:
    texts = saebench_texts(job.config, f"{job.settings['train']}-{job.settings['test']}")
    held = texts * saebench_context(job.config) * job.d * 2
    return Work(disk=2 * held, seconds=15 + texts * job.d * 20 / PROBE, host_mb=3 * held / MB)


def _saebench(job: Planned) -> Work:
    each = [saebench_texts(job.config, size) for size in job.settings["sizes"]]
    texts, context = sum(each) * len(job.settings["datasets"]), saebench_context(job.config)
    held = max(each) * (4.0 * job.width + 2.0 * job.d * context)
    batch = job.settings["batch"] * context * job.width * 4
    return Work(
        exact=job.encoded(texts * context),
        disk=texts * context * job.d * 2,
        seconds=_resampling(job) + texts * (job.width + job.d) / PROBE,
        gpu_gib=PROCESS + (job.coder_bytes + 3.0 * batch) / GIB,
        host_mb=(2 * held + batch + 2 * job.coder_bytes) / MB,
    )


def _circuits(job: Planned) -> Work:
    drawn = len(job.settings["concepts"]) * job.settings["draws"] * len(job.settings["top_k"])
    values = job.examples() * sum(one.width or 16_384 for one in job.coders)
    seconds = _resampling(job) + 0.01 * drawn + values / PROBE
    return Work(seconds=seconds, host_mb=16 * values / MB)


def _steering(job: Planned) -> Work:
    block = {**job.block("steering"), **job.settings}  # a further protocol has its own
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


def _edges(job: Planned) -> Work:
    settings = job.settings
    batches = settings["pairs"] / settings["batch"]
    backward = batches * (settings["steps"] + settings["edge_steps"] * settings["top_nodes"])
    ablated = batches * (settings["top_edges"] + settings["random_edges"] + settings["top_nodes"])
    circuits = batches * len(settings["sizes"]) * (2 + settings["draws"]) * 2
    passes = (3 * backward + ablated + circuits) * len(job.coders)
    tokens = 12 * settings["batch"]  # a minimal pair is a short sentence
    coders = sum(8.0 * job.d * (one.width or 16_384) for one in job.coders)
    return Work(
        exact=passes * tokens * job.model.operations(),
        disk=2 * job.weights + coders,
        steps=passes,
        weights=4.0 * job.model.parameters,
        seconds=10,
        gpu_gib=resident(job.model, "float32") + (2 * coders) / GIB + 2,
        host_mb=4.0 * job.model.parameters / MB,
    )


# -- auto-interp ----------------------------------------------------------------------------------


def _latent_examples(job: Planned) -> Work:
    firings = job.tokens * job.k
    return Work(
        disk=8 * firings, seconds=5 + 0.05 * job.settings["latents"], host_mb=30 * firings / MB
    )


def _answered(job: Planned, prompts: float, length: float, answer: float) -> Work:
    """A scorer's answers to `prompts` of so many tokens, as its backend describes their cost."""
    scorer = job.settings["scorer"]
    questions = Questions(job.block("autointerp")["latents"], prompts, length, answer)
    return kind_of(scorer).cost(scorer, questions, job.scorer)


def _explain(job: Planned) -> Work:
    return _answered(job, job.block("autointerp")["latents"], EXPLAIN_PROMPT, EXPLAIN_ANSWER)


def _score_latents(job: Planned) -> Work:
    block = job.block("autointerp")
    each = (block["n_test"] + block["n_negatives"]) / block["examples_shown"]
    asked = [PROMPTS[score] for score in job.settings["scores"]]
    prompts = each * len(asked) * block["latents"]
    return _answered(job, prompts, sum(asked) / len(asked), SCORE_ANSWER)


def _embed_latents(job: Planned) -> Work:
    latents = job.settings["latents"] or job.block("autointerp")["latents"]
    return Work(seconds=5 + 1.2 * latents * job.settings["trials"] / 20)


def _seconds(seconds: float) -> Callable[[Planned], Work]:
    return lambda job: Work(seconds=seconds)


@dataclass(frozen=True)
class Rule:
    """How a rule is estimated and where it runs."""

    work: Callable[[Planned], Work]
    gpu: bool = False
    """Whether it runs the model or trains: then it gets a GPU, where there are any."""
    mem_mb: int = 2_000
    """Memory with libraries and small data; :class:`Work` adds the rest."""


RULES: dict[str, Rule] = {
    "corpus": Rule(_seconds(40)),
    "corpus_slice": Rule(_seconds(40)),
    "concepts": Rule(_seconds(20)),
    "tokens": Rule(lambda job: Work(seconds=5 + job.tokens / 2e5)),
    "language_model": Rule(_language_model, mem_mb=4_000),
    "randomised_model": Rule(_randomised, mem_mb=4_000),
    "capture": Rule(_capture, gpu=True, mem_mb=4_000),
    "train_coder": Rule(_train_coder, gpu=True, mem_mb=4_000),
    "pretrained_coder": Rule(_pretrained_coder, mem_mb=4_000),
    "encode": Rule(_encode, gpu=True, mem_mb=3_000),
    "reader_fidelity": Rule(_fidelity, mem_mb=3_000),
    "saelens_fidelity": Rule(_fidelity, mem_mb=3_000),
    "reconstruction_nulls": Rule(_reconstruction_nulls, mem_mb=3_000),
    "probing_nulls": Rule(_probing_nulls, mem_mb=3_000),
    "reconstruction": Rule(_reconstruction, gpu=True, mem_mb=3_000),
    "latents": Rule(_latents),
    "probing": Rule(_probing, mem_mb=3_000),
    "probe_texts": Rule(_seconds(20), mem_mb=3_000),
    "sae_probes_baseline": Rule(_sae_probes_baseline, mem_mb=3_000),
    "sae_probes": Rule(_sae_probes, mem_mb=3_000),
    "saebench_texts": Rule(_saebench_draw),
    "saebench_artifacts": Rule(_saebench_artifacts, mem_mb=3_000),
    "saebench": Rule(_saebench, gpu=True, mem_mb=4_000),
    "saebench_core": Rule(_saebench_core, gpu=True, mem_mb=3_000),
    "latent_examples": Rule(_latent_examples, mem_mb=3_000),
    "explain": Rule(_explain),
    "score_latents": Rule(_score_latents),
    "embed_latents": Rule(_embed_latents),
    "autointerp": Rule(_seconds(15)),
    "circuits": Rule(_circuits, mem_mb=3_000),
    "multilayer_circuits": Rule(_circuits, mem_mb=6_000),
    "steering": Rule(_steering, gpu=True, mem_mb=3_000),
    "edges": Rule(_edges, gpu=True, mem_mb=4_000),
    "memory_plan": Rule(_seconds(1), mem_mb=1_000),
    "headtohead": Rule(lambda job: Work(seconds=20)),
    "overview": Rule(_seconds(30)),
    "ledger": Rule(_seconds(20), mem_mb=1_000),
}
"""Every rule of the graph."""

SERVED = {"explain", "score_latents"}
"""Rules that get a GPU where their scorer is a model that the job serves itself."""
