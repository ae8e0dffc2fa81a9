"""Names of the scores, and delphi's fixed numbers, for plan, checks and jobs."""

INTRUDER, EMBEDDING = "intruder", "embedding"
CLASSIFIED = ("detection", "fuzzing", "fuzzing_matched")
"""Scores whose question is whether each example fits an explanation."""
ASKED = (*CLASSIFIED, INTRUDER)
"""Scores of a scorer."""
SCORES = (*ASKED, EMBEDDING)
"""Every score; the last one is that of an encoder."""
MARKED = 0.3
"""delphi marks tokens of at least this share of the example's largest activation."""
COMPARED = 10
"""Negatives that delphi's example embedding sets aside to compare every query with."""
