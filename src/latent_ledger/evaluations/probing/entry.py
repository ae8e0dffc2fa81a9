"""Probing: do the codes carry what the text is about?"""

from latent_ledger.evaluations.probing.plan import STAGE as EVALUATION

__all__ = ["EVALUATION"]
