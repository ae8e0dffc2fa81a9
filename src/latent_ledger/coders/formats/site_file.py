"""The file ``site.json`` of a coder folder: the coder's format and its hook points."""

from pathlib import Path

from latent_ledger.coders.formats.registry import known
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json, write_json
from latent_ledger.models.hook_points import CoderSite

FILE = "site.json"
KEYS = ("format", "layer", "input_hook", "output_hook")


def write_site(folder: Path, name: str, site: CoderSite) -> None:
    """Write ``site.json`` for a coder of format `name` at `site` into `folder`."""
    write_json(Path(folder) / FILE, {**site.as_dict(), "format": name})


def read_site(folder: Path) -> tuple[str, CoderSite]:
    """Format and site of the coder in `folder`. Raises :class:`LedgerError` for a wrong file."""
    path = Path(folder) / FILE
    record = read_json(path)
    if missing := [key for key in KEYS if key not in record]:
        raise LedgerError(f"{path} lacks {', '.join(missing)}.")
    return known(record["format"], str(path)), CoderSite.from_dict(record)


def check_site(architecture: str, autoencodes: bool, site: CoderSite) -> None:
    """Raise :class:`LedgerError` unless `site` has one hook point for an autoencoder, else two."""
    if autoencodes != site.autoencodes:
        target = "the hook point it reads" if autoencodes else "another hook point than it reads"
        raise LedgerError(
            f"Coder at {site}: {architecture} must write {target}; correct `output_hook`."
        )
