"""SAEBench by its own code, on cached activations: sparse probing, and core as a cross-check.

    artifacts       prefilled activations and baselines of one hook point and size, shared by its
    coders sparse_probing  sae_bench.evals.sparse_probing on one coder, with no model at hand core
    sae_bench.evals.core beside our metrics, on the same activations

Source: Karvonen et al. 2025 (arXiv 2503.09532); https://github.com/adamkarvonen/SAEBench.
"""

from latent_ledger.evaluations.saebench.plan import STAGE as EVALUATION

__all__ = ["EVALUATION"]
