"""Fit of a model on a GPU, and the reason, before money is spent.

A served model (vLLM) takes one share of the GPU's memory, ``gpu_memory_utilization``, and

* refuses to start unless that share of the *total* is free at that moment (its guard);
* needs in it the weights, the working memory of its largest batch, and keys and values of at least
  one prompt of full length; what is left over holds more prompts at a time;
* captures CUDA graphs behind that, outside of the share.

So a share works if ``needed <= share x total`` and ``share x total + graphs <= free``. Beside a
resident model the second condition shrinks with what that model holds, and it gives its memory back
only when its process ends: hence caching, explaining and scoring are jobs of their own here.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from latent_ledger.resources.devices import Gpu
from latent_ledger.resources.transformer import Architecture

GIB = 1024**3
PROCESS = 1.1
"""GiB that a process holds beside a model's weights: in the reference's failed attempt Gemma-2-2B
held 22.03 - 16.05 GiB, and its weights are 4.87."""
WORKING = 1.5
"""GiB of activations and other memory at vLLM's largest batch; its logs say 1.3 to 1.6 at 8B."""
GRAPHS = 0.6
"""GiB of CUDA graphs, which vLLM captures outside of its share; its logs say 0.5 to 0.7 at 7B."""
DEFAULT_SHARE = 0.9
"""vLLM's own ``gpu_memory_utilization``, for a server whose share is not known."""


def gib(size: float) -> float:
    """Bytes as GiB."""
    return size / GIB


def resident(architecture: Architecture, dtype: str) -> float:
    """GiB that a process with this model on the GPU holds as long as it lives."""
    return gib(architecture.weights_bytes(dtype)) + PROCESS


@dataclass(frozen=True)
class Served:
    """A model behind vLLM: its size, its number format and its longest prompt with answer."""

    architecture: Architecture
    dtype: str
    max_model_len: int

    @property
    def weights(self) -> float:
        """GiB of the weights."""
        return gib(self.architecture.weights_bytes(self.dtype))

    @property
    def sequence(self) -> float:
        """GiB of keys and values of one prompt of full length."""
        return gib(self.architecture.cache_bytes(self.dtype) * self.max_model_len)

    @property
    def needed(self) -> float:
        """GiB that it needs to answer one prompt."""
        return self.weights + self.sequence + WORKING


@dataclass(frozen=True)
class Fit:
    """Whether a model fits, and why; GiB, and prompts of full length at a time."""

    fits: bool
    why: str
    free: float
    asked: float
    needed: float
    sequences: int = 0


def fit(served: Served, gpu: Gpu, share: float | None = None, held: float = 0.0) -> Fit:
    """Does `served` fit on `gpu` where other processes hold `held` GiB?

    `share`: its gpu_memory_utilization; with None the largest share that works is taken.
    """
    total, free, needed = gpu.memory_gib, gpu.memory_gib - held, served.needed
    beside = f" beside {held:.1f} GiB of another process" if held else ""
    parts = (
        f"{needed:.1f} GiB (weights {served.weights:.1f}, one prompt of {served.max_model_len:,} "
        f"tokens {served.sequence:.2f}, working memory {WORKING})"
    )
    asked = free - GRAPHS if share is None else share * total
    of_total = f"{share:g} x {total:.2f} = {asked:.2f} GiB" if share is not None else ""
    if asked > free:
        why = f"vLLM asks for {of_total} and {free:.2f} are free{beside} on {gpu.name}"
    elif asked < needed and share is None:
        why = (
            f"no share of {gpu.name} works: it needs {parts} and {GRAPHS} outside of it for CUDA "
            f"graphs, and {free:.2f} GiB are free{beside}"
        )
    elif asked < needed:
        why = f"{of_total} on {gpu.name} are less than the {parts} it needs"
    elif asked + GRAPHS > free + 1e-9:
        why = (
            f"{of_total} leave no {GRAPHS} GiB for CUDA graphs of the {free:.2f} that are free"
            f"{beside} on {gpu.name}"
        )
    else:
        sequences = int((asked - served.weights - WORKING) / served.sequence)
        why = (
            f"fits: {of_total or f'{asked:.2f} GiB'} of {free:.2f} free on {gpu.name}{beside} hold "
            f"{parts} and {sequences} such prompts at a time"
        )
        return Fit(True, why, free, asked, needed, sequences)
    return Fit(False, f"does not fit: {why}", free, asked, needed)


def room(needed: float, gpu: Gpu) -> Fit:
    """Does a job that needs `needed` GiB, its process included, fit on an empty `gpu`?"""
    fits = needed <= gpu.memory_gib
    verb = "fits" if fits else "does not fit"
    why = f"{verb}: it needs {needed:.1f} GiB and {gpu.name} has {gpu.memory_gib:.2f}"
    return Fit(fits, why, gpu.memory_gib, needed, needed)


def smallest(gpus: Iterable[Gpu], judge: Callable[[Gpu], Fit]) -> tuple[Gpu | None, list[Fit]]:
    """The first of the listed GPUs that fits (None: none does), and the judgements up to it."""
    fits: list[Fit] = []
    for gpu in gpus:
        fits.append(judge(gpu))
        if fits[-1].fits:
            return gpu, fits
    return None, fits
