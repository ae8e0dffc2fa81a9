"""Origin of language models: the description that each origin gives of itself.

Everything here is light to import. The function that makes a model imports the heavy libraries.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from latent_ledger.text.corpora.source import Origin

Block = Mapping[str, Any]
"""A block of the configuration that names a model, by its ``source``."""
Produce = Callable[[Mapping[str, Any], Mapping[str, Path], Path, Callable[[], Path]], dict]
"""(settings, input folders by name, out, folder for checkpoints) -> facts."""


@dataclass(frozen=True, kw_only=True)
class ModelSource(Origin):
    """All that differs between one origin of language models and the others."""

    form: str
    """How a source of this origin is written."""
    numbers: Callable[[Block], dict[str, Any] | None]
    """The model's ``config.json``, or None where it cannot be known before a job has run."""
    settings: Callable[[Block], dict[str, Any]]
    """Settings of the job that provides the model."""
    produce: Produce
    """The job that provides the model; its input ``text`` is the corpus part `trained_on`."""
    label: Callable[[Block], str] = itemgetter("source")
    """The model's name in a row of the ledger."""
    trained_on: str | None = None
    """The part of the corpus the model is trained on, or None where it comes trained."""

    @property
    def trained(self) -> bool:
        """Whether the model is trained in the graph."""
        return self.trained_on is not None


@dataclass(frozen=True)
class ModelShape:
    """Layers and context of a model; None where its files lack them."""

    layers: int | None
    context: int | None
