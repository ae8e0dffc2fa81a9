"""Latents: how often each fires, and on how many different tokens."""

from latent_ledger.evaluations.latents.plan import STAGE as EVALUATION

__all__ = ["EVALUATION"]
