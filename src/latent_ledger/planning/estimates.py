"""What every planned job should get and take: GPU, memory, minutes.

    Planner(config).job(manifest path) -> Estimate

Throughput is stated here and dated: shares of a GPU's peak, of one CPU core, of the store's disk.
They were set so that the wall clocks of the reference ledger (June 2026, Modal) come out within a
factor of two; tests/gpus/test_calibration.py holds them to it. Nothing finer is claimed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from latent_ledger.config.coder_specs import ORIGINAL, CoderSpec, base, base_block, coder_specs
from latent_ledger.lib.errors import LedgerError
from latent_ledger.planning import graph, paths
from latent_ledger.planning.costs import RULES, SERVED, saebench_texts
from latent_ledger.resources import architectures
from latent_ledger.resources.architectures import Architecture
from latent_ledger.resources.devices import Gpu, gpus
from latent_ledger.resources.memory import Fit, Served, fit, room, smallest
from latent_ledger.resources.work import Planned, Work
from latent_ledger.scorers.registry import kind_of

BF16_SHARE, FP32_SHARE, BANDWIDTH_SHARE = 0.4, 0.5, 0.7
"""Of a GPU's peak: what a forward pass, fp32 matrix products and reading its memory reach."""
CORE = 30e9
"""Operations per second of one CPU core."""
DISK = 0.5e9
"""Bytes per second between a job and the store."""
START_GPU, START_CPU, START_HERE = 45.0, 15.0, 1.0
"""Seconds before a job computes: its container and its imports; on this machine, a fork."""
SLACK = 3
"""A job's time limit is so many times its estimate."""
LEAST_MINUTES = 30
"""Shortest time limit: starting, and what no estimate foresees."""
ASSUMED = "google/gemma-2-2b"
"""Whose size a model is taken to have that is not known before its config.json is fetched."""


@dataclass(frozen=True)
class Estimate:
    """What one job gets. `gpu` is None for a job of the CPU."""

    gpu: str | None
    mem_mb: int
    seconds: int
    minutes: int
    """Its time limit."""
    why: str = ""
    """Why this GPU, in one sentence."""


class Planner:
    """Estimates the jobs of one validated configuration."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.jobs = graph.jobs(config)
        self.hardware = config["hardware"]
        self.gpus = [gpus()[name] for name in self.hardware["gpus"]]
        self._known: dict[str, Estimate] = {}

    @cached_property
    def model(self) -> Architecture:
        """The language model under study."""
        return self.architecture(ORIGINAL)

    def architecture(self, base: str) -> Architecture:
        """A published model, or one of :data:`ASSUMED` size where its own is not known yet."""
        found = architectures.of_model(base_block(self.config, base))
        return found or architectures.published()[ASSUMED]

    @cached_property
    def unknown(self) -> list[str]:
        """Models whose size had to be assumed."""
        block = self.config["evaluations"].get("autointerp", {"scorers": {}})
        scorers = [one for one in block["scorers"].values() if kind_of(one).serving]
        found = [one["model"] for one in scorers if self._scorer(one) is None]
        used = dict.fromkeys([ORIGINAL, *(one.base for one in self.coders.values())])
        models = [base_block(self.config, base) for base in used]
        found = [one["source"] for one in models if architectures.of_model(one) is None] + found
        return list(dict.fromkeys(found))

    @cached_property
    def coders(self) -> dict[str, CoderSpec]:
        """Coder instances by name."""
        return {one.name: one for one in coder_specs(self.config)}

    @cached_property
    def sizes(self) -> dict[str, float]:
        """Tokens of every token set, at most: texts shorter than the context have fewer."""
        probing = self.config["evaluations"].get("probing")
        probes = self.config["evaluations"].get("sae_probes")
        found = {}
        for name, (_, settings) in graph.token_sets(self.config).items():
            if "budget" in settings:
                found[name] = settings["budget"]
            elif name == "probing" and probing:
                texts = len(probing["concepts"]) * sum(probing["examples"].values())
                found[name] = texts * settings["context"]
            elif name == "sae-probes" and probes:
                found[name] = len(probes["datasets"]) * probes["examples"] * settings["context"]
            elif name in self.config["corpus"]["slices"]:
                documents = self.config["corpus"]["slices"][name]["documents"]
                found[name] = documents * settings["context"]
            else:  # a data set of SAEBench's own; one draw serves every size
                sizes = self.config["evaluations"]["saebench"]["sizes"]
                largest = max(saebench_texts(self.config, size) for size in sizes)
                found[name] = largest * settings["context"]
        return found

    @cached_property
    def groups(self) -> dict[str, list]:
        """Name of a capture (a token set and a model) -> its hook points."""
        groups = graph.capture_groups(self.config).items()
        return {paths.over(split, model): hook_points for (split, model), hook_points in groups}

    def job(self, path: str) -> Estimate:
        """The estimate of the job that makes a manifest; also of the ledger, by its path."""
        if path not in self._known:
            self._known[path] = self._estimate(path)
        return self._known[path]

    def _estimate(self, path: str) -> Estimate:
        planned = self._planned(path)
        rule = RULES.get(planned.rule)
        if rule is None:
            raise LedgerError(
                f"The rule {planned.rule} has no estimate: give it an entry in RULES of "
                "src/latent_ledger/planning/costs.py."
            )
        work = rule.work(planned)
        served = self._served(planned)
        gpu, why = None, ""
        if self.gpus and (rule.gpu or served):
            gpu, why = self._choose(planned, work, served)
        seconds = self._seconds(work, gpu, planned.dtype)
        minutes = max(LEAST_MINUTES, 10 * math.ceil(SLACK * seconds / 600))
        mem_mb = 500 * math.ceil((rule.mem_mb + work.host_mb) / 500)
        return Estimate(gpu.name if gpu else None, mem_mb, round(seconds), minutes, why)

    # -- which GPU ------------------------------------------------------------------------------

    def _choose(self, planned: Planned, work: Work, served: bool) -> tuple[Gpu, str]:
        """The GPU that a person chose for the rule, or the smallest listed one that fits.

        A LedgerError says why there is none.
        """
        own = self.hardware["gpu"].get(planned.rule)
        listed = [gpus()[own]] if own else self.gpus

        def judge(gpu: Gpu) -> Fit:
            return self._fit(planned, gpu) if served else room(work.gpu_gib, gpu)

        if served and planned.scorer is None:
            why = f"the size of {planned.settings['scorer']['model']} is not known"
            return listed[-1], f"{listed[-1].name}, the largest listed: {why}"
        gpu, found = smallest(listed, judge)
        if gpu is None:
            raise LedgerError(
                f"{planned.path} has no GPU: {found[-1].why}. List a larger one under "
                f"hardware.gpus, or lower {_lever(planned)}."
            )
        return gpu, found[-1].why

    def _fit(self, planned: Planned, gpu: Gpu) -> Fit:
        """Whether the scorer's model, of known size, fits as its job serves it."""
        scorer = planned.settings["scorer"]
        serving = kind_of(scorer).serving
        assert serving is not None and planned.scorer is not None
        how = serving(scorer)
        return fit(Served(planned.scorer, how.dtype, how.max_model_len), gpu, how.share)

    def _served(self, planned: Planned) -> bool:
        """Whether the job serves its scorer's model itself."""
        return planned.rule in SERVED and kind_of(planned.settings["scorer"]).serving is not None

    def _scorer(self, settings: Mapping[str, Any]) -> Architecture | None:
        return architectures.of_source(settings["model"], settings.get("revision"))

    # -- how long -------------------------------------------------------------------------------

    def _seconds(self, work: Work, gpu: Gpu | None, dtype: str) -> float:
        """Seconds of `work` on a GPU, or on one CPU core; the model runs in `dtype`."""
        if gpu is None:
            start = START_CPU if self.gpus else START_HERE
            seconds = (work.forward + work.exact) / CORE
        else:
            half = dtype != "float32"
            fp32 = gpu.fp32_tflops * 1e12 * FP32_SHARE
            forward = gpu.bf16_tflops * 1e12 * BF16_SHARE if half else fp32
            start = START_GPU
            seconds = work.forward / forward + work.exact / fp32
            seconds += work.steps * work.weights / (gpu.bandwidth * 1e9 * BANDWIDTH_SHARE)
        return start + seconds + work.disk / DISK + work.seconds

    # -- what a job is about --------------------------------------------------------------------

    def _planned(self, path: str) -> Planned:
        """Everything a rule's function may ask about the job behind a manifest path."""
        rule, settings = self.jobs.get(path, (path.rpartition("/")[2].partition(".")[0], {}))
        parts = path.removeprefix("results/").removesuffix(".json").split("/")
        named = [self.coders[part] for part in parts if part in self.coders]
        of = next((paths.parts(part)[1] for part in parts if "@" in part), ORIGINAL)
        if parts[0] == "models":
            of = parts[1]
        elif named:
            of = named[0].model
        behind = base(self.config, of)
        splits = (paths.over(paths.parts(part)[0], behind) for part in parts)
        usual = paths.over(_SPLITS.get(rule, ""), behind)
        split = next((name for name in splits if name in self.sizes), usual)
        planned = Planned(
            self.config,
            path,
            rule,
            settings,
            self.architecture(behind),
            self.sizes.get(split, 0.0),
            named,
            base=behind,
        )
        if rule == "capture":
            hook_points = self.groups[parts[1]]
            return replace(
                planned,
                hook_points=len(hook_points),
                layers=1 + max(hook_point.layer for hook_point in hook_points),
            )
        if rule == "edges":
            members = self.config["evaluations"]["edges"]["groups"][parts[-1]]
            return replace(planned, coders=[self.coders[name] for name in members])
        if rule == "multilayer_circuits":
            members = self.config["evaluations"]["circuits"]["multilayer"][parts[-1]]["coders"]
            return replace(planned, coders=[self.coders[name] for name in members])
        if self._served(planned):
            return replace(planned, scorer=self._scorer(settings["scorer"]))
        return planned


_SPLITS = {
    "train_coder": "coder",
    "reconstruction": "evaluation",
    "reconstruction_nulls": "evaluation",
    "saebench_core": "evaluation",
    "latents": "evaluation",
    "latent_examples": "scoring",
    "probing": "probing",
    "probing_nulls": "probing",
    "sae_probes_baseline": "sae-probes",
}
"""Token set of rules whose manifest does not name it."""


def _lever(planned: Planned) -> str:
    """The key that makes a job smaller."""
    levers = {
        "capture": "activations.batch",
        "reconstruction": "evaluations.reconstruction.batch",
        "saebench_core": "evaluations.saebench.core.batch",
        "saebench": "evaluations.saebench.batch",
        "steering": "evaluations.steering.batch",
        "explain": "max_model_len of its scorer",
        "score_latents": "max_model_len of its scorer",
    }
    return levers.get(planned.rule, "training.width")
