"""Coders trained elsewhere: fetched from a folder or the hub, in the publisher's format.

The file decides architecture, width and k; the configuration's values must agree with it.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from latent_ledger.coders.formats.recognition import entry, recognise
from latent_ledger.coders.formats.registry import known
from latent_ledger.lib.errors import LedgerError


def produce(settings: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write a pretrained coder and its site into `out`; return facts.

    `settings`: source, path, revision, format (the last three may be None), architecture, layer,
    input_hook, output_hook, width (None: the file's). Facts: format, file, architecture, d_in,
    width and, for TopK coders, k. Raises :class:`LedgerError` if the format cannot be recognised,
    and if the coder cannot be had or is not what the settings say.
    """
    folder = Path(settings["source"]).expanduser()
    if folder.is_dir():
        settings = {**settings, "source": str(folder)}
    source, path, name = settings["source"], settings.get("path"), settings.get("format")
    name = known(name, f"Coder in {source}") if name else recognise(source, path)
    fetch = import_module(f"latent_ledger.coders.formats.{name}.fetch")
    facts = fetch.produce_pretrained(settings, out)
    for key in ("architecture", "width"):
        expected = settings.get(key)
        if expected is not None and expected != facts[key]:
            raise LedgerError(
                f"The coder in {source} has {key} {facts[key]}, and the configuration says "
                f"{expected}: correct `{key}`, or choose another `path`."
            )
    file = entry(name).file
    return {"format": name, "file": f"{path}/{file}" if path else file, **facts}
