"""What a configuration can know of its sources without opening them: kind, shape, data at hand.

``source`` of a model or a corpus is one word in the configuration and three things in the world:

* ``embedded``: made in the graph from what the environment carries;
* ``hub``: a repository of the Hugging Face hub (a model ``owner/name``, a data set ``hub:<id>``);
* ``folder``: a local folder, or one file of text.

Nothing here imports a model library or reaches the network.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
CORPUS_SUFFIXES = (".txt", ".jsonl", ".parquet")


@dataclass(frozen=True)
class ConceptSet:
    """One labelled set inside the sae-probes package; half of its rows carry the concept."""

    number: int
    rows: int


CONCEPTS = {
    "journalist": ConceptSet(59, 2000),
    "athlete": ConceptSet(60, 2000),
    "actor": ConceptSet(61, 2000),
    "politician": ConceptSet(62, 2000),
    "singer": ConceptSet(63, 2000),
    "researcher": ConceptSet(64, 1960),
    "female": ConceptSet(56, 5000),
    "alive": ConceptSet(57, 5000),
    "republican": ConceptSet(58, 3000),
    "code-c": ConceptSet(158, 4000),
    "code-python": ConceptSet(159, 4000),
    "code-html": ConceptSet(160, 4000),
}
"""Concepts that can be probed for without a network: what ``text/concepts.py`` offers,
told here too because that module reads tables and takes longer to import than all checks to run.
"""


@dataclass(frozen=True)
class ModelShape:
    """What the checks ask of a model; None where its files do not say."""

    layers: int | None
    context: int | None


def model_kind(source: str) -> str | None:
    """``embedded``, ``hub`` or ``folder``; None for a source that is none of them."""
    if source == "embedded":
        return "embedded"
    if source.startswith((".", "/", "~")):
        return "folder"
    return "hub" if HUB_ID.fullmatch(source) else None


def coder_kind(source: str) -> str | None:
    """``hub`` or ``folder``, written as for a model; None for what is neither."""
    return None if source == "embedded" else model_kind(source)


def corpus_kind(source: str) -> str:
    """``embedded``, ``hub`` (written ``hub:<id>``) or ``folder``."""
    if source == "embedded":
        return "embedded"
    return "hub" if source.startswith("hub:") else "folder"


def kind_of_source(section: str, source: Any) -> str | None:
    """Kind of the `source` of a configuration section; None where it has none or a wrong one."""
    kinds = {
        "model": model_kind,
        "coders": coder_kind,
        "corpus": corpus_kind,
        "evaluations.probing": corpus_kind,
    }
    return kinds[section](source) if section in kinds and isinstance(source, str) else None


def local(source: str) -> Path:
    """The path that a source of kind folder names."""
    return Path(source).expanduser()


def model_shape(model: dict[str, Any]) -> ModelShape | None:
    """Layers and context of the configured model, where they can be known here and now.

    A hub model is known once its ``config.json`` lies in the local hub cache; before that the
    answer is None and the job that loads the model checks again.
    """
    kind = model_kind(model["source"])
    if kind == "embedded" and "training" in model:
        return ModelShape(model["training"]["layers"], model["training"]["context"])
    if kind == "folder":
        return read_shape(local(model["source"]) / "config.json")
    if kind == "hub":
        cached = cached_config(model["source"], model.get("revision") or "main")
        return read_shape(cached) if cached else None
    return None


def read_shape(path: Path) -> ModelShape | None:
    """Shape from a Hugging Face ``config.json``; None where the file is missing or unreadable."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    config = config.get("text_config", config) if isinstance(config, dict) else {}

    def first(*names: str) -> int | None:
        values = (config.get(name) for name in names)
        return next((value for value in values if isinstance(value, int)), None)

    return ModelShape(
        layers=first("num_hidden_layers", "n_layer", "num_layers"),
        context=first("max_position_embeddings", "n_positions", "n_ctx"),
    )


def cached_config(repository: str, revision: str) -> Path | None:
    """``config.json`` of a hub model in the local cache, or None.

    Follows the layout of the hub cache (``models--owner--name/{refs,snapshots}``) by hand:
    importing huggingface_hub for it takes longer than everything else done here.
    """
    home = os.environ.get("HF_HOME") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "huggingface"
    )
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(home, "hub"))
    folder = hub / f"models--{repository.replace('/', '--')}"
    reference = folder / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    found = folder / "snapshots" / commit / "config.json"
    return found if found.is_file() else None


@cache
def concept_folder() -> Path | None:
    """Folder of the labelled sets in the installed sae-probes package, found without importing."""
    spec = importlib.util.find_spec("sae_probes")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "data" / "cleaned_data"


def installed(concept: ConceptSet) -> bool:
    """True when the file of a labelled set lies in the installed package."""
    folder = concept_folder()
    return folder is not None and any(folder.glob(f"{concept.number}_*.csv.zst"))
