"""Names of scores and of statuses, and delphi's fixed numbers, for plan, checks and jobs."""

INTRUDER, EMBEDDING = "intruder", "embedding"
CLASSIFIED = ("detection", "fuzzing", "fuzzing_matched")
"""Scores whose question is whether each example fits an explanation."""
ASKED = (*CLASSIFIED, INTRUDER)
"""Scores of a scorer."""
SCORES = (*ASKED, EMBEDDING)
"""Every score; the last one is that of an encoder."""
SCORABLE = "scorable"
"""Status of a latent that has examples; any other status is the reason why it has none."""
SCORED = "scored"
"""Status of a latent under a score; any other status is the reason why it has no value."""
MARKED = 0.3
"""delphi marks tokens of at least this share of the example's largest activation."""
COMPARED = 10
"""Negatives that delphi's example embedding sets aside to compare every query with."""
