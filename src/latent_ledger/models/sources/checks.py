"""Checks of a model's source, before any job. No job's code reaches this module."""

from collections.abc import Callable, Iterator

from latent_ledger.lib.files import local
from latent_ledger.lib.suggestions import nearest, show
from latent_ledger.models.sources import embedded, published, registry
from latent_ledger.models.sources.source import Block

Problem = tuple[tuple[str, ...], str]
"""Path below the model's block, and a sentence."""


def problems(block: Block, *, trained: bool = True) -> Iterator[Problem]:
    """What is wrong with the block of a model; with `trained` it may be trained in the graph."""
    source = block["source"]
    origin = registry.find(source)
    if origin is None:
        yield ("source",), f"{show(source)} is no model source; {_hint(source)}"
    elif origin.trained and not trained:
        yield ("source",), "another model is a published one; write a hub id or a folder"
    elif origin.name in CHECKS:
        yield from CHECKS[origin.name](block)


def coder_problems(source: str) -> Iterator[str]:
    """What is wrong with the source of a pretrained coder: it is written as for a model."""
    origin = registry.find(source)
    if origin is None or origin.trained:
        forms = registry.forms([origin for origin in registry.SOURCES if not origin.trained])
        yield f"{show(source)} is no source of coders; write {forms}"
    elif origin is published.FOLDER and not local(source).is_dir():
        yield f"the folder {show(source)} does not exist"


def _hint(source: str) -> str:
    if source.startswith("hub:"):
        return f"write the hub id alone, {show(source.removeprefix('hub:'))}"
    if nearest(source, [embedded.NAME]):
        return 'did you mean "embedded"?'
    return f"write {registry.forms()}"


def _hub(block: Block) -> Iterator[Problem]:
    source = block["source"]
    if local(source).is_dir():
        yield (
            ("source",),
            f"{show(source)} may be a hub id or the folder of that name here; "
            f"write {show('./' + source)} for the folder, or rename the folder",
        )


def _folder(block: Block) -> Iterator[Problem]:
    source = block["source"]
    if not local(source).is_dir():
        yield ("source",), f"the folder {show(source)} does not exist"
    elif not (local(source) / "config.json").is_file():
        yield ("source",), f"the folder {show(source)} holds no config.json, so no model"


def _embedded(block: Block) -> Iterator[Problem]:
    training = block.get("training")
    if training is None:
        return
    width, heads = training["width"], training["heads"]
    step = 8 * heads  # rotary embeddings turn a quarter of a head's dimensions, in pairs
    if width % step:
        down, up = width // step * step, (width // step + 1) * step
        yield (
            ("training", "width"),
            f"{width} with {heads} heads does not give every head a multiple of 8 dimensions; "
            f"{f'{down} or {up}' if down else up} would",
        )


CHECKS: dict[str, Callable[[Block], Iterator[Problem]]] = {
    embedded.SOURCE.name: _embedded,
    published.HUB.name: _hub,
    published.FOLDER.name: _folder,
}
"""Origin -> its check; an origin without one is checked by the job that provides the model."""
