"""Registry of the origins of text: a module each, chosen by ``settings["source"]``.

A new origin is a module with a :class:`~latent_ledger.text.corpora.source.CorpusSource` in
:data:`SOURCES` (``docs/add-a-source.md``). Every source has a field with the text, ``text_field``
(default ``text``); labelled ones have a field with a label too, which concepts are drawn from.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from latent_ledger.lib.errors import LedgerError
from latent_ledger.text.corpora import embedded, folder, huggingface
from latent_ledger.text.corpora.source import CorpusSource

SOURCES: tuple[CorpusSource, ...] = (embedded.SOURCE, huggingface.SOURCE, folder.SOURCE)
"""The first origin that accepts a source has it; the folder accepts all, as a path."""


class Document(NamedTuple):
    """One text and the name of the data set it comes from."""

    text: str
    source: str


def source_of(source: str) -> CorpusSource:
    """The origin that a source of texts names; the folder where no other accepts it."""
    return next(origin for origin in SOURCES if origin.accepts(source))


def records(settings: Mapping, fields: tuple[str, ...]) -> Iterator[tuple[str, tuple]]:
    """Yield ``(data set, values of `fields`)`` of every record of ``settings["source"]``."""
    return source_of(settings["source"]).records(settings, fields)


def documents(settings: Mapping) -> Iterator[Document]:
    """Stream the texts of a corpus, blank ones left out, in the order of the source.

    Raises :class:`LedgerError` for a source without texts in the text field.
    """
    field = settings.get("text_field") or "text"
    any_text = False
    for source, (text,) in records(settings, (field,)):
        if text is None:
            continue
        if not isinstance(text, str):
            raise LedgerError(
                f"The field {field!r} of {source} holds {type(text).__name__}, not text: "
                "name a field of strings in corpus.text_field."
            )
        if text.strip():
            any_text = True
            # JSON can spell lone surrogates, which UTF-8 (and every tokenizer) cannot.
            yield Document(text.encode("utf-8", "replace").decode(), source)
    if not any_text:
        raise LedgerError(
            f"The corpus {settings['source']!r} holds no text in the field {field!r}: "
            "check corpus.source, corpus.split and corpus.text_field."
        )
