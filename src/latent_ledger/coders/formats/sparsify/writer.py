"""The writer of sparsify's coder folders."""

from pathlib import Path

from sparsify import SparseCoder

from latent_ledger.coders.formats.site_file import write_site
from latent_ledger.models.hook_points import CoderSite


def save(coder: SparseCoder, site: CoderSite, out: Path) -> None:
    """Write ``cfg.json``, ``sae.safetensors`` and ``site.json``; equal coders give equal bytes."""
    coder.save_to_disk(out)
    write_site(out, "sparsify", site)
