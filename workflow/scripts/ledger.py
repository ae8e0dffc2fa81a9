"""Render results/ledger.md and results/ledger.json from metrics and run records."""

from pathlib import Path

from latent_ledger.config import validate
from latent_ledger.ledger import write_ledger
from latent_ledger.provenance import Project
from latent_ledger.store import Store, default_root

project = Project(Path(snakemake.scriptdir).parents[1])
store = Store(default_root(snakemake.params.store.partition(":")[2]))
write_ledger(validate(snakemake.config), store, project.code_digest, project.environment)
