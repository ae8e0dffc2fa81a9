"""Steering: does adding a direction make the model write about a concept?"""

from __future__ import annotations

from latent_ledger.stages.base import Stage

STAGE = Stage("steering")
