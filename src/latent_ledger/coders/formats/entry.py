"""The description of a format of published coders."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Format:
    """How a format is recognised without reading a weight.

    `name` is that of its folder. `file` holds the weights; a folder with it is a coder of this
    format. `activation` is the activation function of its coders, which the ledger shows for a
    coder without k. `hub` is a regular expression that the whole id of a hub repository matches, if
    its name alone says that its coders are of this format; None if no name does.
    """

    name: str
    file: str
    activation: str
    hub: str | None = None

    def fits_folder(self, folder: Path) -> bool:
        """Whether a local folder holds a coder of this format."""
        return (folder / self.file).is_file()

    def fits_repository(self, repository: str) -> bool:
        """Whether the id of a hub repository says that its coders are of this format."""
        return self.hub is not None and re.fullmatch(self.hub, repository) is not None
