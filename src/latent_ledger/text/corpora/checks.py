"""Checks of the source of a corpus, before any job. No job's code reaches this module."""

import re
from collections.abc import Callable, Iterator

from latent_ledger.lib.files import local
from latent_ledger.lib.hub import HUB_ID
from latent_ledger.lib.suggestions import nearest, show
from latent_ledger.text.corpora import embedded, folder, huggingface, registry


def problems(source: str) -> Iterator[str]:
    """What is wrong with the source of a corpus as it is written."""
    origin = registry.source_of(source)
    if origin.name in CHECKS:
        yield from CHECKS[origin.name](source)


def _hub(source: str) -> Iterator[str]:
    name = source.removeprefix(huggingface.PREFIX).partition(":")[0]
    if not (HUB_ID.fullmatch(name) or re.fullmatch(r"[\w.-]+", name)):
        yield f"{show(source)} names no data set; write hub:owner/name"


def _folder(source: str) -> Iterator[str]:
    root = local(source)
    if not root.exists():
        what = f"the folder {show(source)} does not exist"
        if nearest(source, [embedded.SOURCE.name]):
            what += '; did you mean "embedded"?'
        elif HUB_ID.fullmatch(source):
            what += f"; a hub data set is written {show(huggingface.PREFIX + source)}"
        yield what
    elif not any(file.suffix in folder.READERS for file in (root, *root.rglob("*"))):
        yield f"{show(source)} holds no text ({', '.join(folder.READERS)})"


CHECKS: dict[str, Callable[[str], Iterator[str]]] = {
    huggingface.SOURCE.name: _hub,
    folder.SOURCE.name: _folder,
}
"""Origin -> its check; an origin without one is checked by the job that reads it."""
