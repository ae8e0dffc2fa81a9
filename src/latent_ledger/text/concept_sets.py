"""Concepts that can be probed for without a network: labelled sets of the sae-probes package.

The configuration's checks and the plan read this table, so it imports nothing.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ConceptSet:
    """One labelled set inside the sae-probes package; half of its rows carry the concept."""

    number: int
    positive: str
    """The label that means the concept."""
    rows: int


OCCUPATIONS = {
    "journalist": ConceptSet(59, "1", 2000),
    "athlete": ConceptSet(60, "1", 2000),
    "actor": ConceptSet(61, "1", 2000),
    "politician": ConceptSet(62, "1", 2000),
    "singer": ConceptSet(63, "1", 2000),
    "researcher": ConceptSet(64, "1", 1960),
}
"""Occupations of people mentioned at the end of a web text: the offline bias_in_bios."""

CONCEPTS = OCCUPATIONS | {
    "female": ConceptSet(56, "female", 5000),
    "alive": ConceptSet(57, "True", 5000),
    "republican": ConceptSet(58, "Republican Party", 3000),
    "code-c": ConceptSet(158, "1", 4000),
    "code-python": ConceptSet(159, "1", 4000),
    "code-html": ConceptSet(160, "1", 4000),
}
"""All embedded concepts by name."""
