"""Ledger of a failed run whose store is on a Modal Volume, rendered in a Sandbox there.

here     results, configuration --> Sandbox: python -m latent_ledger.ledger.failed_run <file>
Sandbox  Ledger.write --> results/ledger.md, ledger.json, figures --> here
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latent_ledger.artifacts.provenance import Project
from latent_ledger.artifacts.store import Store, default_root
from latent_ledger.ledger.ledger import Ledger
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.planning import paths

CONFIG = "failed-run.json"
"""The configuration of the failed run, as it travels to the Sandbox."""


def render(config: Mapping[str, Any]) -> int:
    """Number of failed rows in the ledger, rendered in a Sandbox; a LedgerError if that failed."""
    from snakemake_executor_plugin_modal.oneoff import run_in_sandbox
    from snakemake_interface_common.exceptions import ApiError

    sends: dict[str, Path | bytes] = {
        str(path): path
        for path in Path(paths.folder(config["experiment"])).rglob("*")
        if path.is_file() and path.suffix in (".json", ".jsonl")
    }
    sends[CONFIG] = json.dumps(config).encode()
    try:
        run_in_sandbox(
            "ledger of the failed run",
            f"python -m latent_ledger.ledger.failed_run {CONFIG}",
            sends=sends,
            fetches=list(paths.LEDGER),
            mirrors=[paths.FIGURES],
        )
    except ApiError as error:
        raise LedgerError(str(error)) from None
    return sum(row["label"] == "failed" for row in read_json(Path(paths.LEDGER[1]))["rows"])


def main(path: str) -> None:
    """Entry point in the Sandbox: write the ledger of the configuration at `path`."""
    config = read_json(Path(path))
    store = Store(default_root(config["store"]))
    Ledger(config, store, Project(Path.cwd())).write(finished=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
