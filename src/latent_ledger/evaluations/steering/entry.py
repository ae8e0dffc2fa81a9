"""Steering: does adding a direction make the model write about a concept?"""

from latent_ledger.evaluations.steering.plan import STAGE as EVALUATION

__all__ = ["EVALUATION"]
