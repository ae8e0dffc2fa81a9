"""The command ``latent-ledger``: configurations, the store, and finished ledgers.

latent-ledger verify                   read every payload and compare it with its manifest
latent-ledger gc [--dry-run]           delete payloads that no manifest in results/ refers to
latent-ledger compare A.json B.json    contrasts that hold in both ledgers, or in all of several
latent-ledger check FILE [OVERLAY...]  check a configuration without running anything
latent-ledger docs                     write docs/configuration.md from the schema
latent-ledger costs FILE [OVERLAY...]  expected cost of every row of the reference ledger
"""

import argparse
import sys
from pathlib import Path

from latent_ledger import experiment
from latent_ledger.artifacts.store import Manifest, Store, default_root
from latent_ledger.config import docs
from latent_ledger.config.schema_file import schema
from latent_ledger.ledger import replication, row_costs
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import write_text
from latent_ledger.resources.prices import prices


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code (0 well, 1 something is wrong)."""
    parser = argparse.ArgumentParser(
        prog="latent-ledger", description="The store and the ledgers of Latent Ledger."
    )
    parser.add_argument(
        "--store", help="the store's folder (default: $LATENT_LEDGER_STORE, .store)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("verify", help="compare every payload with its manifest")
    collect = commands.add_parser("gc", help="delete payloads no manifest in results/ refers to")
    collect.add_argument("--results", default=[Path("results")], type=Path, nargs="+")
    collect.add_argument("--dry-run", action="store_true", help="only say what would go")
    compare = commands.add_parser("compare", help="which contrasts hold in several ledgers")
    compare.add_argument("ledgers", type=Path, nargs="+", help="ledger.json of each")
    for name, what in (("check", "check a configuration"), ("costs", "cost of every reference")):
        command = commands.add_parser(name, help=what)
        command.add_argument("configuration", type=Path)
        command.add_argument("overlays", type=Path, nargs="*")
    commands.add_parser("docs", help="write docs/configuration.md from the schema")
    options = parser.parse_args(arguments)
    try:
        return run(options)
    except LedgerError as error:
        print(f"latent-ledger: {error}", file=sys.stderr)
        return 1


def run(options: argparse.Namespace) -> int:
    """Run one command; returns its exit code."""
    match options.command:
        case "verify":
            return verify(existing(options.store))
        case "gc":
            gc(existing(options.store), options)
        case "compare":
            print(replication.page(options.ledgers))
        case "check":
            experiment.load(options.configuration, options.overlays)
            names = " + ".join(map(str, [options.configuration, *options.overlays]))
            print(f"{names}: nothing wrong")
        case "costs":
            config = experiment.load(options.configuration, options.overlays)
            print(row_costs.page(config, prices()), end="")
        case "docs":
            folder = docs.PAGE.parent
            if not folder.is_dir():
                raise LedgerError(f"There is no {folder}/ here: go to the top of a checkout.")
            write_text(docs.PAGE, docs.describe(schema()))
            print(f"{docs.PAGE} is written")
    return 0


def existing(folder: str | None) -> Store:
    """The store that was named, or the usual one; a LedgerError if it is not there."""
    store = Store(folder or default_root(None))
    if not (store.root / "payloads").is_dir():
        raise LedgerError(f"There is no store at {store.root}: name it with --store.")
    return store


def verify(store: Store) -> int:
    """Print one line per wrong file; 1 if there is any."""
    complaints = store.verify()
    for line in complaints:
        print(f"wrong: {line}")
    print(f"{len(list(store.payload_digests()))} payloads read, {len(complaints)} wrong.")
    return 1 if complaints else 0


def gc(store: Store, options: argparse.Namespace) -> None:
    """Delete what nothing in results/ refers to."""
    for folder in options.results:
        if not folder.is_dir():
            raise LedgerError(f"There is no {folder}/ here: name the results with --results.")
    keep = {
        Manifest.read(path).digest
        for folder in options.results
        for path in folder.rglob("*.json")
        if "records" not in path.relative_to(folder).parts[:2] and path.name != "ledger.json"
    }
    if not keep:
        named = ", ".join(map(str, options.results))
        raise LedgerError(
            f"No manifest lies in {named}, so every payload of {store.root} would go. If you mean "
            "that, delete the store's folder."
        )
    if options.dry_run:
        doomed = [digest for digest in store.payload_digests() if digest not in keep]
        print(f"{len(doomed)} payloads would go, {len(keep)} stay.")
        return
    count, freed = store.collect_garbage(keep)
    print(f"{count} payloads deleted, {freed / 2**20:.1f} MiB freed.")
