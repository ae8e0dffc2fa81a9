"""``python -m latent_ledger.config docs | check <file> [<overlay>...]``."""

import sys

from latent_ledger.config import main

sys.exit(main(sys.argv[1:]))
