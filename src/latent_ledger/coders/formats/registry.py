"""Registry of the formats of published coders: one folder and one line here for each.

====================  ==========================================================================
module in the folder  content
====================  ==========================================================================
``entry.py``          ``FORMAT``: how a folder or a hub repository of this format is recognised
``loader.py``         ``load(folder, site, device)``: the coder; codes rest on this module alone
``fetch.py``          ``produce_pretrained(settings, out)``: copies a published coder
``reference.py``      ``library(folder, coder)``: the publisher's own coder, for the reader's gate
``saelens.py``        ``to_saelens(coder, device)`` and ``wrong_variant(coder, device)``
====================  ==========================================================================

Each module is imported where it is needed and nowhere else: a corrected bridge to SAELens leaves
all codes current. ``docs/add-a-coder.md`` adds a format step by step.
"""

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.suggestions import nearest

NAMES = (
    "gemma_scope",
    "sparsify",
)


def known(name: str, where: str) -> str:
    """`name`, if it is a format. Raises :class:`LedgerError` that starts with `where`."""
    if name in NAMES:
        return name
    near = nearest(str(name), NAMES)
    hint = f'; did you mean "{near}"?' if near else "."
    raise LedgerError(f"{where}: unknown coder format {name!r}; known: {', '.join(NAMES)}{hint}")
