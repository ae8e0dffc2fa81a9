"""sae_probes: the primary probing benchmark, over many labelled data sets."""

from __future__ import annotations

from latent_ledger.stages.base import Stage

STAGE = Stage("sae_probes")
