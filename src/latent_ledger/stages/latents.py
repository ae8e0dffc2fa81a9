"""Latents: how often each fires, and on how many different tokens."""

from __future__ import annotations

from latent_ledger.stages.base import Stage

STAGE = Stage("latents")
