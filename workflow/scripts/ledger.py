"""Render results/ledger.md and results/ledger.json from metrics and run records."""

from pathlib import Path

from latent_ledger.artifacts.provenance import Project
from latent_ledger.artifacts.store import Store, default_root
from latent_ledger.experiment import validate
from latent_ledger.ledger.ledger import Ledger

project = Project(Path(snakemake.scriptdir).parents[1])
store = Store(default_root(snakemake.params.store.partition(":")[2]))
Ledger(validate(snakemake.config), store, project).write()
