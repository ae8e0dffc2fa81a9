"""Gates: what must hold before a number may earn its row."""

from __future__ import annotations

from latent_ledger.stages.base import Stage

STAGE = Stage("gates")
