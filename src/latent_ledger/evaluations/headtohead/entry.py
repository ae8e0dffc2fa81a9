"""Head to head: which coder is better, and by how much?"""

from latent_ledger.evaluations.headtohead.plan import STAGE as EVALUATION

__all__ = ["EVALUATION"]
