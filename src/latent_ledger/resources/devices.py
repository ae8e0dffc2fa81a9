"""Table of the GPUs that a job may request: memory, throughput and bandwidth."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

TABLE = Path(__file__).with_name("hardware.yaml")


@dataclass(frozen=True)
class Gpu:
    """One model of GPU; see hardware.yaml for where the numbers come from."""

    name: str
    memory_gib: float
    bf16_tflops: float
    fp32_tflops: float
    bandwidth: float
    """GB/s of its memory."""


@cache
def gpus() -> dict[str, Gpu]:
    """All known GPUs by name."""
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))["gpus"]
    return {name: Gpu(name, **numbers) for name, numbers in table.items()}
