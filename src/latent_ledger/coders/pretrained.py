"""Coders that somebody else trained: fetched from a folder or the hub, in the publisher's format.

    source + path + revision --format--> coder folder with its site    architecture and width
    checked

The file is the truth about architecture, width and k; what the configuration says of them must
agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from latent_ledger.lib.errors import LedgerError

Producer = Callable[[Mapping[str, Any], Path], dict[str, Any]]


def _gemma_scope(settings: Mapping[str, Any], out: Path) -> dict[str, Any]:
    from latent_ledger.coders.formats.gemma_scope import loader as gemma_scope

    return gemma_scope.produce_pretrained(settings, out)


def _sparsify(settings: Mapping[str, Any], out: Path) -> dict[str, Any]:
    from latent_ledger.coders.formats.sparsify import loader as sparsify

    return sparsify.produce_pretrained({**settings, "hookpoint": settings.get("path")}, out)


FORMATS: dict[str, tuple[str, Producer]] = {
    "gemma_scope": ("params.npz", _gemma_scope),
    "sparsify": ("sae.safetensors", _sparsify),
}
"""Format -> the file by which a folder is recognised, and what fetches it."""


def produce(settings: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write a pretrained coder and its site into `out`; return facts.

    `settings`: source, path, revision, format (the last three may be None), architecture, layer,
    reads, writes, width (None: the file's). Facts: format, file, architecture, d_in, width and, for
    TopK coders, k. Raises :class:`LedgerError` if the coder cannot be had or is not what the
    settings say.
    """
    folder = Path(settings["source"]).expanduser()
    if folder.is_dir():
        settings = {**settings, "source": str(folder)}
    name = settings.get("format") or recognise(settings["source"], settings.get("path"))
    file, fetch = FORMATS[name]
    facts = fetch(settings, out)
    for key in ("architecture", "width"):
        said = settings.get(key)
        if said is not None and said != facts[key]:
            raise LedgerError(
                f"The coder in {settings['source']} has {key} {facts[key]}, and the configuration "
                f"says {said}: correct `{key}`, or choose another `path`."
            )
    where = settings.get("path")
    return {"format": name, "file": f"{where}/{file}" if where else file, **facts}


def recognise(source: str, path: str | None) -> str:
    """The format of a source: a folder's by its files, a hub repository's by its name."""
    folder = Path(source)
    if not folder.is_dir():
        return "gemma_scope" if "gemma-scope" in source else "sparsify"
    folder /= path or ""
    found = [name for name, (file, _) in FORMATS.items() if (folder / file).is_file()]
    if len(found) != 1:
        files = " or ".join(file for file, _ in FORMATS.values())
        raise LedgerError(
            f"{folder} holds {'several' if found else 'no'} coders: `path` must name a folder with "
            f"one {files}."
        )
    return found[0]
