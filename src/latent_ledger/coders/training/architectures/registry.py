"""Registry of the architectures that are trained here: one module and one line here for each.

A module holds ``ARCHITECTURE``, an :class:`~latent_ledger.coders.training.architectures.entry.
Architecture`. Nothing here imports a tensor library, because checks of a configuration read it.
"""

from importlib import import_module

from latent_ledger.coders.training.architectures.entry import Architecture

MODULES = (
    "sae",
    "transcoder",
    "skip_transcoder",
)


ARCHITECTURES: dict[str, Architecture] = {}
"""Architectures by their names in a configuration."""
for module in MODULES:
    entry = import_module(f"latent_ledger.coders.training.architectures.{module}").ARCHITECTURE
    ARCHITECTURES[entry.name] = entry
