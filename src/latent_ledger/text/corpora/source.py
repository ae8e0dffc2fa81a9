"""Origin of texts, or of models: the description that each origin gives of itself."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.suggestions import nearest


def no_files(source: str) -> dict[str, str]:
    """The listing of an origin that has no files on this machine."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What the ``source`` of a section of the configuration names."""

    name: str
    """The origin's name in ``x-for`` of the configuration's schema."""
    accepts: Callable[[str], bool]
    """Whether a ``source`` names this origin."""
    listing: Callable[[str], dict[str, str]] = no_files
    """Settings that change with the files a source names on this machine."""


@dataclass(frozen=True, kw_only=True)
class CorpusSource(Origin):
    """All that differs between one origin of texts and the others."""

    records: Callable[[Mapping, tuple[str, ...]], Iterator[tuple[str, tuple]]]
    """(settings, fields) -> (name of the data set, values of the fields) of every record."""
    named_concepts: bool = False
    """Whether concepts are names of :mod:`latent_ledger.text.concept_sets`, and not labels."""


def require(fields: tuple[str, ...], names: Sequence[str], where: str, known: str = "of") -> None:
    """Raise :class:`LedgerError` for a field that is not among the `names` of a data set."""
    for field in fields:
        if field not in names:
            near = nearest(field, names, cutoff=0.0)
            hint = f"; the nearest is {near!r} ({known} {', '.join(names)})" if near else ""
            raise LedgerError(
                f"{where} has no field {field!r}{hint}. Name one in the configuration's text_field."
            )
