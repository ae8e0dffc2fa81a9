"""Overview: interpretability against loss recovered, the sweep over k, and seeds."""

from __future__ import annotations

from latent_ledger.stages.base import Stage

STAGE = Stage("overview")
