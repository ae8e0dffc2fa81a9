"""Planned job, as a cost formula reads it, and its work, which the planner turns into a time.

Each stage has one formula per rule, so that an estimate can be read and disputed in one line: a
forward pass is 2 operations per weight and token; encoding is 2 d w per token, training a coder
three times that; a served prompt is its length forward and its answer token by token. What is
neither (probes, bootstraps, drawing examples) is seconds of one CPU core, from the records of the
laptop experiment scaled by its sizes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from latent_ledger.config.coder_specs import ORIGINAL, CoderSpec, base_block
from latent_ledger.resources.memory import PROCESS
from latent_ledger.resources.transformer import BYTES, Architecture

MB = 1e6
DOWNLOAD = 1e8
"""Bytes per second from the Hugging Face hub."""
PROBE = 2e6
"""Values (examples x features) that one core fits a logistic probe to per second."""


@dataclass(frozen=True)
class Work:
    """The work of one job."""

    forward: float = 0.0
    """Operations of the language model, in its number format."""
    exact: float = 0.0
    """Operations in fp32."""
    disk: float = 0.0
    """Bytes read from or written to the store."""
    seconds: float = 0.0
    """Seconds of one CPU core, or of waiting."""
    steps: float = 0.0
    """Passes so small that their time is that of reading `weights` bytes of the GPU's memory."""
    weights: float = 0.0
    gpu_gib: float = PROCESS
    """GiB of GPU memory that it needs, its process included."""
    host_mb: float = 0.0
    """MB of memory beyond those of libraries and small data."""


@dataclass(frozen=True)
class Planned:
    """One job as the input of its rule's cost function."""

    config: Mapping[str, Any]
    path: str
    rule: str
    settings: Mapping[str, Any]
    model: Architecture
    """The language model it is about."""
    tokens: float
    """Tokens of the token set it is about."""
    coders: list[CoderSpec] = field(default_factory=list)
    """The coder it is about; several for edges and for circuits that cross layers."""
    hook_points: int = 1
    """Hook points of a capture."""
    layers: int = 0
    """Blocks a capture runs."""
    scorer: Architecture | None = None
    """The model behind a scorer, where it is known."""
    base: str = ORIGINAL
    """Name of the published model behind `model`."""

    @property
    def dtype(self) -> str:
        """Number format of the language model."""
        return base_block(self.config, self.base)["dtype"]

    @property
    def d(self) -> int:
        """Size of an activation."""
        return self.model.width

    @property
    def width(self) -> int:
        """Latents of the coder; assumed for a fetched coder of unknown width."""
        return self.coders[0].width or 16_384 if self.coders else 0

    @property
    def k(self) -> int:
        """Active latents per token."""
        return self.coders[0].k or 64 if self.coders else 0

    @property
    def coder_bytes(self) -> float:
        """Bytes of one coder's weights in fp32."""
        return 8.0 * self.d * self.width

    @property
    def activations(self) -> float:
        """Bytes of one hook point over the token set."""
        return self.tokens * self.d * BYTES[self.config["activations"]["dtype"]]

    @property
    def weights(self) -> float:
        """Bytes of the language model as it lies in the store."""
        return self.model.weights_bytes(self.dtype)

    def block(self, name: str) -> Mapping[str, Any]:
        """An evaluation's settings."""
        return self.config["evaluations"][name]

    def encoded(self, tokens: float) -> float:
        """Operations of encoding that many tokens."""
        return 2.0 * self.d * self.width * tokens

    def examples(self) -> int:
        """Labelled texts of probing."""
        block = self.block("probing")
        return len(block["concepts"]) * sum(block["examples"].values())


@dataclass(frozen=True)
class Cost:
    """How a rule's jobs are estimated and where they run."""

    work: Callable[[Planned], Work]
    gpu: bool = False
    """Whether it runs the model or trains, and so gets a GPU where there are any."""
    mem_mb: int = 2_000
    """Memory with libraries and small data; :class:`Work` adds the rest."""
    lever: str = "training.width"
    """The key that makes its jobs smaller."""


def resampling(job: Planned) -> float:
    """Seconds of the bootstraps of one evaluation."""
    return 2 + job.settings.get("resamples", 0) / 1_000


def takes(seconds: float) -> Callable[[Planned], Work]:
    """The work of a job that takes about so many seconds of one CPU core, whatever its sizes."""
    return lambda job: Work(seconds=seconds)
