"""Overview: interpretability against loss recovered, the sweep over k, and seeds."""

from latent_ledger.evaluations.overview.plan import STAGE as EVALUATION

__all__ = ["EVALUATION"]
