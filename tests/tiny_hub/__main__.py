"""Build the tiny hub by hand: ``python -m tests.tiny_hub <folder>``."""

from __future__ import annotations

import sys
from pathlib import Path

from latent_ledger.config.reading import read_yaml
from tests.tiny_hub import build, environment, pinned

RUN = (
    "snakemake results/ledger.md --profile profiles/local "
    "--configfile config/config.yaml config/gemma-tiny.yaml"
)

if len(sys.argv) != 2:
    sys.exit("Usage: python -m tests.tiny_hub <folder>")
folder = build(Path(sys.argv[1]), pinned(read_yaml(Path("config/config.yaml"))))
for name, value in environment(folder).items():
    print(f"export {name}={value}")
print(RUN)
