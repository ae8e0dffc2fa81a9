"""Circuits: how few latents carry what a probe reads off all of them?"""

from __future__ import annotations

from latent_ledger.stages.base import Stage

STAGE = Stage("circuits")
