"""The memory planner: on which GPU does a scorer fit, beside the model under study and alone?"""

from latent_ledger.evaluations.memory.plan import STAGE as EVALUATION

__all__ = ["EVALUATION"]
