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

from difflib import get_close_matches

from latent_ledger.lib.errors import LedgerError

NAMES = (
    "gemma_scope",
    "sparsify",
)


def known(name: str, where: str) -> str:
    """`name`, if it is a format. `where` is the place of the name, for the error.

    Raises :class:`LedgerError` that lists the known formats.
    """
    if name in NAMES:
        return name
    near = get_close_matches(str(name), NAMES, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    raise LedgerError(
        f"{where}: unknown coder format {name!r}; known: {', '.join(NAMES)}{hint or '.'}"
    )
