"""sae_bench's set-up: without jaxtyping's run-time checks, quiet, and seeded as it seeds itself.

Under the checks sae_bench 0.6.0 does not import with the pinned versions of beartype and jaxtyping:
importing this module before ``sae_bench`` turns them off.
"""

import os
import random

import torch
from jaxtyping import config

from latent_ledger.lib.progress import quiet

__all__ = ["quiet", "seed_generators"]

os.environ["JAXTYPING_DISABLE"] = "1"  # for a jaxtyping that is imported later, in a worker
config.update("jaxtyping_disable", True)  # for the one that may have been imported already


def seed_generators(seed: int) -> None:
    """Seed the generators that sae_bench seeds at the start of every coder."""
    random.seed(seed)
    torch.manual_seed(seed)
