"""Architectures of models, as far as they are known before a job has run.

A model is looked up without a network: first the numbers of its source (the recipe of an embedded
model, the ``config.json`` of a folder or of the hub's cache), then the numbers that travel with
this package (architectures.yaml).
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from latent_ledger.models.sources.registry import find
from latent_ledger.resources.transformer import Architecture

TABLE = Path(__file__).with_name("architectures.yaml")


@cache
def published() -> dict[str, Architecture]:
    """The models whose numbers travel with this package, by their hub id."""
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    known = {name: Architecture.from_config(numbers) for name, numbers in table.items()}
    return {name: architecture for name, architecture in known.items() if architecture}


@cache
def architecture_of_source(source: str, revision: str | None = None) -> Architecture | None:
    """The architecture of a published model or a local folder; None where it is not known yet."""
    return architecture_of_model({"source": source, "revision": revision})


def architecture_of_model(model: Mapping[str, Any]) -> Architecture | None:
    """The architecture of a block that names a model; None where it is not known yet."""
    origin, known = find(model["source"]), None
    numbers = origin.numbers(model) if origin else None
    with suppress(KeyError):  # an incomplete config.json
        known = Architecture.from_config(numbers) if numbers else None
    return known or published().get(model["source"])
