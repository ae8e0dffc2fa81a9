"""Gates: what must hold before a number may earn its row."""

from latent_ledger.evaluations.gates.plan import STAGE as EVALUATION

__all__ = ["EVALUATION"]
