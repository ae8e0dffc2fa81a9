"""Registry of the origins of language models.

A new origin is a :class:`~latent_ledger.models.sources.source.ModelSource` in :data:`SOURCES`
(``docs/add-a-source.md``). Nothing else depends on the origin of a model, and jobs that only load a
model do not reach this module.
"""

from collections.abc import Sequence

from latent_ledger.lib.errors import LedgerError
from latent_ledger.models.sources import embedded, published
from latent_ledger.models.sources.source import Block, ModelShape, ModelSource

SOURCES: tuple[ModelSource, ...] = (embedded.SOURCE, published.HUB, published.FOLDER)
"""The first origin that accepts a source has it."""


def find(source: str) -> ModelSource | None:
    """The origin that a source names, or None."""
    return next((origin for origin in SOURCES if origin.accepts(source)), None)


def source_of(source: str) -> ModelSource:
    """The origin that a source names. Raises :class:`LedgerError`, with the known forms."""
    origin = find(source)
    if origin is None:
        raise LedgerError(f"model.source: {source!r} is no model source: write {forms()}.")
    return origin


def forms(origins: Sequence[ModelSource] = SOURCES) -> str:
    """How sources may be written, as the end of a sentence."""
    *first, last = (origin.form for origin in origins)
    return f"{', '.join(first)}, or {last}" if first else last


def shape(block: Block) -> ModelShape | None:
    """Layers and context of a configured model, or None where they cannot be known yet."""
    origin = find(block["source"])
    numbers = origin.numbers(block) if origin else None
    if numbers is None:
        return None

    def first(*names: str) -> int | None:
        values = (numbers.get(name) for name in names)
        return next((value for value in values if isinstance(value, int)), None)

    return ModelShape(
        layers=first("num_hidden_layers", "n_layer", "num_layers"),
        context=first("max_position_embeddings", "n_positions", "n_ctx"),
    )
