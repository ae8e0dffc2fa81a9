"""SAEBench by its own code, on cached activations: sparse probing, and core as a cross-check.

    artifacts       prefilled activations and baselines of one tap and size, shared by its coders
    sparse_probing  sae_bench.evals.sparse_probing on one coder, with no model at hand
    core            sae_bench.evals.core beside our metrics, on the same activations

Importing this package switches jaxtyping's run-time checks off: under them sae_bench does not even
import with the pinned versions.

Source: Karvonen et al. 2025 (arXiv 2503.09532); https://github.com/adamkarvonen/SAEBench.
"""

import os

from jaxtyping import config

os.environ["JAXTYPING_DISABLE"] = "1"  # for a jaxtyping that is imported later, in a worker
config.update("jaxtyping_disable", True)  # for the one that may have been imported already
