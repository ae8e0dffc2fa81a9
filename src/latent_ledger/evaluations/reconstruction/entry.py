"""Reconstruction: how faithfully does each coder rebuild its target?"""

from latent_ledger.evaluations.reconstruction.plan import STAGE as EVALUATION

__all__ = ["EVALUATION"]
