"""Where text comes from: one module per kind of source, chosen by ``settings["source"]``.

===================== ==================================================== =====================
source                what it is                                           further settings
===================== ==================================================== =====================
``embedded``          the labelled texts inside the sae-probes wheel       ``families``
``hub:<id>[:<name>]`` a Hugging Face dataset (and its configuration)       ``revision``, ``split``
a folder or file      local ``.txt``, ``.jsonl`` and ``.parquet`` files
===================== ==================================================== =====================

A source module offers ``accepts(source)`` and ``records(settings, fields)``, which yields
``(name of the data set, values of the fields)``. A new kind of source is one such module, its line
in :data:`SOURCES`, and its test. Every source has a field with the text, ``text_field`` (default
``text``); labelled ones have a field with a label too, which concepts are drawn from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType

from latent_ledger.lib.errors import LedgerError
from latent_ledger.text.corpora import embedded, folder, huggingface

SOURCES: tuple[ModuleType, ...] = (embedded, huggingface, folder)
"""Asked in this order; `folder` takes whatever the others leave, as a path."""


@dataclass(frozen=True, slots=True)
class Document:
    """One text and the name of the data set it comes from."""

    text: str
    source: str


def records(settings: Mapping, fields: tuple[str, ...]) -> Iterator[tuple[str, tuple]]:
    """Yield ``(data set, values of `fields`)`` of every record of ``settings["source"]``."""
    source = settings["source"]
    module = next(module for module in SOURCES if module.accepts(source))
    return module.records(settings, fields)


def documents(settings: Mapping) -> Iterator[Document]:
    """Stream the texts of a corpus, blank ones left out, in the order of the source.

    Raises :class:`LedgerError` for a source that does not exist, lacks the text field, keeps
    something other than text in it, or holds no text at all.
    """
    field = settings.get("text_field") or "text"
    found = False
    for source, (text,) in records(settings, (field,)):
        if text is None:
            continue
        if not isinstance(text, str):
            raise LedgerError(
                f"The field {field!r} of {source} holds {type(text).__name__}, not text: "
                "name a field of strings in corpus.text_field."
            )
        if text.strip():
            found = True
            # JSON can spell lone surrogates, which UTF-8 (and every tokenizer) cannot.
            yield Document(text.encode("utf-8", "replace").decode(), source)
    if not found:
        raise LedgerError(
            f"The corpus {settings['source']!r} holds no text in the field {field!r}: "
            "check corpus.source, corpus.split and corpus.text_field."
        )
