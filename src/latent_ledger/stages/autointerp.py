"""Auto-interp: can a reader of a latent's examples tell where it fires?"""

from __future__ import annotations

from latent_ledger.stages.base import Stage

STAGE = Stage("autointerp")
