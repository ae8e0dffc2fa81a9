"""Estimates of every planned job: its GPU, its memory, its minutes.

    Planner(config).job(manifest path) -> Estimate

Throughput is stated here and dated: shares of a GPU's peak, of one CPU core, of the store's disk.
These numbers were set so that the wall clocks of the reference ledger (June 2026, Modal) come out
within a factor of two, which tests/planning/test_estimates.py checks. Nothing finer is claimed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from latent_ledger.config.coder_specs import ORIGINAL, base, base_block
from latent_ledger.lib.errors import LedgerError
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.planning import graph, paths
from latent_ledger.planning.registry import STAGES
from latent_ledger.planning.stage import Jobs
from latent_ledger.planning.text import token_set_size
from latent_ledger.resources.architectures import (
    architecture_of_model,
    architecture_of_source,
    published,
)
from latent_ledger.resources.devices import Gpu, gpus
from latent_ledger.resources.memory import Fit, Served, fit, room, smallest
from latent_ledger.resources.transformer import Architecture
from latent_ledger.resources.work import Cost, Planned, Work, takes
from latent_ledger.scorers.registry import kind_of

BF16_SHARE, FP32_SHARE, BANDWIDTH_SHARE = 0.4, 0.5, 0.7
"""Shares of a GPU's peak that a forward pass, fp32 matrix products and memory reads reach."""
CORE = 30e9
"""Operations per second of one CPU core."""
DISK = 0.5e9
"""Bytes per second between a job and the store."""
START_GPU, START_CPU, START_HERE = 45.0, 15.0, 1.0
"""Seconds before a job computes, for its container and imports, or for a fork on this machine."""
SLACK = 3
"""A job's time limit as a multiple of its estimate."""
LEAST_MINUTES = 30
"""Shortest time limit, for the start and for delays that no estimate foresees."""
ASSUMED = "google/gemma-2-2b"
"""Model whose size is assumed for a model whose config.json has not been fetched yet."""


@dataclass(frozen=True)
class Estimate:
    """Resources of one job. `gpu` is None for a job of the CPU."""

    gpu: str | None
    mem_mb: int
    seconds: int
    minutes: int
    """Its time limit."""


class Planner:
    """Estimates the jobs of one validated configuration."""

    def __init__(self, config: Mapping[str, Any], jobs: Jobs | None = None) -> None:
        self.config = config
        self.jobs = graph.jobs(config) if jobs is None else jobs
        self.context = graph.context(config)
        self.hardware = config["hardware"]
        self.gpus = [gpus()[name] for name in self.hardware["gpus"]]
        self._known: dict[str, Estimate] = {}

    @cached_property
    def model(self) -> Architecture:
        """The language model under study."""
        return self.architecture(ORIGINAL)

    def architecture(self, base: str) -> Architecture:
        """A published model, or :data:`ASSUMED` where the size of the model is not known yet."""
        architecture = architecture_of_model(base_block(self.config, base))
        return architecture or published()[ASSUMED]

    @cached_property
    def unknown(self) -> list[str]:
        """Models whose size had to be assumed."""
        block = self.config["evaluations"].get("autointerp", {"scorers": {}})
        scorers = [scorer for scorer in block["scorers"].values() if kind_of(scorer).serving]
        used = dict.fromkeys([ORIGINAL, *(spec.base for spec in self.context.coders.values())])
        models = [base_block(self.config, base) for base in used]
        names = [model["source"] for model in models if architecture_of_model(model) is None]
        names += [scorer["model"] for scorer in scorers if self._scorer(scorer) is None]
        return list(dict.fromkeys(names))

    @cached_property
    def captures(self) -> dict[tuple[str, str], list[HookPoint]]:
        """(token set, model) of a capture -> its hook points."""
        return graph.capture_groups(self.jobs)

    def job(self, path: str) -> Estimate:
        """The estimate of the job that makes a manifest; also of the ledger, by its path."""
        if path not in self._known:
            self._known[path] = self._estimate(path)
        return self._known[path]

    def _estimate(self, path: str) -> Estimate:
        planned = self.planned(path)
        cost = COSTS.get(planned.rule)
        if cost is None:
            raise LedgerError(
                f"The rule {planned.rule} has no estimate: give it an entry in its stage's `costs`."
            )
        work = cost.work(planned)
        served = self._served(planned)
        gpu = None
        if self.gpus and (cost.gpu or served):
            gpu = self._choose(planned, work, served)
        seconds = self._seconds(work, gpu, planned.dtype)
        minutes = max(LEAST_MINUTES, 10 * math.ceil(SLACK * seconds / 600))
        mem_mb = 500 * math.ceil((cost.mem_mb + work.host_mb) / 500)
        return Estimate(gpu.name if gpu else None, mem_mb, round(seconds), minutes)

    # -- which GPU ------------------------------------------------------------------------------

    def _choose(self, planned: Planned, work: Work, served: bool) -> Gpu:
        """The GPU that the configuration names for the rule, or the smallest listed one that fits.

        Raises :class:`LedgerError`, with the reason, when no GPU fits.
        """
        preferred = self.hardware["gpu"].get(planned.rule)
        listed = [gpus()[preferred]] if preferred else self.gpus

        def judge(gpu: Gpu) -> Fit:
            return self._fit(planned, gpu) if served else room(work.gpu_gib, gpu)

        if served and planned.scorer is None:
            return listed[-1]  # the largest, as the size of the scorer's model is not known
        gpu, fits = smallest(listed, judge)
        if gpu is None:
            raise LedgerError(
                f"{planned.path} has no GPU: {fits[-1].why}. List a larger one under "
                f"hardware.gpus, or lower {COSTS[planned.rule].lever}."
            )
        return gpu

    def _fit(self, planned: Planned, gpu: Gpu) -> Fit:
        """Whether the scorer's model, of known size, fits as its job serves it."""
        scorer = planned.settings["scorer"]
        serving = kind_of(scorer).serving
        assert serving is not None and planned.scorer is not None
        served = serving(scorer)
        return fit(Served(planned.scorer, served.dtype, served.max_model_len), gpu, served.share)

    def _served(self, planned: Planned) -> bool:
        """Whether the job serves its scorer's model itself."""
        scorer = planned.settings.get("scorer", {})  # that of a memory plan has no backend
        return "backend" in scorer and kind_of(scorer).serving is not None

    def _scorer(self, settings: Mapping[str, Any]) -> Architecture | None:
        return architecture_of_source(settings["model"], settings.get("revision"))

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

    # -- a job's subject -------------------------------------------------------------------------

    def planned(self, path: str) -> Planned:
        """Everything that the cost of a rule may read about the job behind a manifest."""
        if path in paths.LEDGER:
            return Planned(self.config, path, "ledger", {}, self.model, 0.0)
        job = self.jobs[path]
        base_name = base(self.config, job.model)
        planned = Planned(
            self.config,
            path,
            job.rule,
            job.settings,
            self.architecture(base_name),
            token_set_size(self.context, job.token_set, base_name),
            list(job.coders),
            base=base_name,
        )
        if job.rule == "capture":
            taken = self.captures[job.token_set, job.model]
            deepest = max(hook_point.layer for hook_point in taken)
            return replace(planned, hook_points=len(taken), layers=1 + deepest)
        if self._served(planned):
            return replace(planned, scorer=self._scorer(job.settings["scorer"]))
        return planned


COSTS: dict[str, Cost] = {
    rule: cost
    for costs in (*(stage.costs for stage in STAGES), {"ledger": Cost(takes(20), mem_mb=1_000)})
    for rule, cost in costs.items()
}
"""Rule -> cost, of every rule of the graph."""
