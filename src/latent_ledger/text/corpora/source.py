"""Origin of texts: the description that each origin gives of itself."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass


def no_files(source: str) -> dict[str, str]:
    """The listing of an origin that has no files on this machine."""
    return {}


@dataclass(frozen=True)
class CorpusSource:
    """All that differs between one origin of texts and the others."""

    name: str
    """The origin's name in ``x-for`` of the configuration's schema."""
    accepts: Callable[[str], bool]
    """Whether a ``source`` names this origin."""
    records: Callable[[Mapping, tuple[str, ...]], Iterator[tuple[str, tuple]]]
    """(settings, fields) -> (name of the data set, values of the fields) of every record."""
    listing: Callable[[str], dict[str, str]] = no_files
    """Settings that change with the files a source names on this machine."""
    named_concepts: bool = False
    """Whether concepts are names of :mod:`latent_ledger.text.concept_sets`, and not labels."""
