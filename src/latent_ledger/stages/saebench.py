"""SAEBench: its own sparse probing and core metrics, through a checked adapter."""

from __future__ import annotations

from latent_ledger.stages.base import Stage

STAGE = Stage("saebench")
