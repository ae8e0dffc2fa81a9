"""Switch for jaxtyping's run-time checks: importing it before ``sae_bench`` turns them off.

Under them sae_bench 0.6.0 does not import with the pinned versions of beartype and jaxtyping.
"""

import os

from jaxtyping import config

os.environ["JAXTYPING_DISABLE"] = "1"  # for a jaxtyping that is imported later, in a worker
config.update("jaxtyping_disable", True)  # for the one that may have been imported already
