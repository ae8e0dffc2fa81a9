"""Origins of the ``source`` keys of a configuration, by section."""

from collections.abc import Callable
from typing import Any

from latent_ledger.models.sources import registry as models
from latent_ledger.models.sources.source import ModelSource
from latent_ledger.text.corpora import registry as corpora
from latent_ledger.text.corpora.source import CorpusSource

Origin = ModelSource | CorpusSource


def coder_source(source: str) -> ModelSource | None:
    """The origin of a pretrained coder, written as for a published model; None for any other."""
    origin = models.find(source)
    return None if origin is None or origin.trained else origin


SECTIONS: dict[str, Callable[[str], Origin | None]] = {
    "model": models.find,
    "coders": coder_source,
    "corpus": corpora.source_of,
    "evaluations.probing": corpora.source_of,
}
"""Section with a ``source`` -> the origin that such a source names."""


def origin_of(section: str, source: Any) -> Origin | None:
    """Origin of the `source` of a configuration section; None where it has none or a wrong one."""
    find = SECTIONS.get(section)
    return find(source) if find and isinstance(source, str) else None


def listing(section: str, source: str) -> dict[str, str]:
    """Settings that change with the files that a section's source names on this machine."""
    origin = origin_of(section, source)
    return origin.listing(source) if origin else {}
