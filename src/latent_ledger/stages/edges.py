"""Causal edges: which latent drives which, across layers?"""

from __future__ import annotations

from latent_ledger.stages.base import Stage

STAGE = Stage("edges")
