"""The description of a format of published coders."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """How a format is recognised without reading a weight.

    `name` is that of its folder. `file` holds the weights; a folder with it is a coder of this
    format. `activation` is the activation function of its coders, which the ledger shows for a
    coder without k. `hub` is a regular expression that the whole id of a hub repository matches if
    its coders are of this format; None if no name says so.
    """

    name: str
    file: str
    activation: str
    hub: str | None = None
